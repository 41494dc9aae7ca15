// Each price as the server tells it. A stream ends after some seconds; the next one begins at once.
const goods = document.querySelector(".goods");

function show({ sku, cents, stock }) {
  const item = goods.querySelector(`[data-sku="${CSS.escape(sku)}"]`);
  if (!item) return;
  const price = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")} €`;
  const shown = item.querySelector(".cents");
  if (shown.textContent !== price) {
    shown.textContent = price;
    item.classList.add("changed");
    setTimeout(() => item.classList.remove("changed"), 1000);
  }
  item.querySelector(".stock").textContent = stock;
  item.querySelector("button").disabled = !stock;
}

let stream;

function listen(pause = 200) {
  stream = new EventSource(goods.dataset.prices);
  stream.addEventListener("price", (event) => { pause = 200; show(JSON.parse(event.data)); });
  stream.addEventListener("error", () => {
    stream.close();
    setTimeout(listen, pause, Math.min(pause * 2, 10000)); // a server that is away is asked less often
  });
}

// A browser may keep a page that was left, and its stream with it.
addEventListener("pagehide", () => stream.close());
addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
listen();
