// Buys a pencil: `npm ci && npm run build && node built/client.js http://127.0.0.1:5000`.
// Paths, bodies and answers are those of the API's document; the compiler knows each of them.
import createClient from "openapi-fetch";
import type { components, paths } from "./shop.js";

type Order = components["schemas"]["Order"];

export async function buy(baseUrl: string, sku: string, quantity: number): Promise<Order | string> {
  const client = createClient<paths>({ baseUrl });
  const login = await client.POST("/shop/api/token", { body: { name: "ada", password: "engine" } });
  if (!login.data) return login.error.title;
  const headers = { Authorization: `Bearer ${login.data.token}` };
  const { data, error } = await client.POST("/shop/api/orders", {
    headers,
    body: { lines: [{ sku, quantity }] },
  });
  if (data) return data;
  // Problems are told apart by their members.
  return "left" in error ? `There are only ${error.left} of ${error.sku}.` : error.title;
}

declare const process: { argv: string[] };

const [, , baseUrl = "http://127.0.0.1:5000"] = process.argv;
console.log(JSON.stringify(await buy(baseUrl, "pencil", 2)));
console.log(JSON.stringify(await buy(baseUrl, "globe", 9)));
