"use strict";

const messages = document.getElementById("messages");
let socket;

function connect() {
  const url = new URL("chat", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url);
  socket.onmessage = (event) => {
    const item = document.createElement("li");
    item.textContent = event.data;
    messages.append(item);
  };
  // The process at the other end may have been stopped: another one is there.
  socket.onclose = () => setTimeout(connect, 1000);
}

document.getElementById("say").onsubmit = (event) => {
  event.preventDefault();
  const text = document.getElementById("text");
  socket.send(text.value);
  text.value = "";
};

connect();
