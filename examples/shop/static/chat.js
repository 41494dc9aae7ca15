const lines = document.getElementById("lines");
const speak = document.getElementById("speak");
const address = new URL(document.querySelector("script[data-socket]").dataset.socket, location.href);
address.protocol = address.protocol.replace("http", "ws");
const socket = new WebSocket(address);

function show(text, name) {
  const line = document.createElement("p");
  if (name) line.append(Object.assign(document.createElement("strong"), { textContent: name }), " ");
  else line.className = "note";
  line.append(text); // as text: what others write never becomes HTML
  lines.append(line);
  lines.scrollTop = lines.scrollHeight;
}

socket.addEventListener("message", (event) => {
  const { name, text } = JSON.parse(event.data);
  show(text, name);
});
socket.addEventListener("close", () => { show("The connection is closed."); speak.hidden = true; });
speak.addEventListener("submit", (event) => {
  event.preventDefault();
  socket.send(JSON.stringify({ type: "say", text: speak.elements.text.value }));
  speak.reset();
});
addEventListener("pagehide", () => socket.close());
