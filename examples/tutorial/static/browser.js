// Shows, above the frame, where the running program is and how it answered.
const frame = document.querySelector("iframe[name=try]");
const address = document.getElementById("address");
const status = document.getElementById("status");

function report() {
  const inner = frame.contentWindow;
  address.textContent = decodeURI(inner.location.pathname + inner.location.search);
  const [entry] = inner.performance.getEntriesByType("navigation");
  const code = entry?.responseStatus || "";
  status.textContent = code;
  status.className = code >= 400 ? "bad" : "good";
}

frame.addEventListener("load", report);
