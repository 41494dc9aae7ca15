// Shows, above the frame, where the running program is and how it answered.
const frame = document.querySelector("iframe[name=try]");
const address = document.getElementById("address");
const status = document.getElementById("status");

function report() {
  const inner = frame.contentWindow;
  if (inner.location.href === "about:blank") return;
  // An answer without a style of its own is shown in the reader's colours.
  if (!inner.document.styleSheets.length) inner.document.documentElement.style.colorScheme = "light dark";
  address.textContent = decodeURI(inner.location.pathname + inner.location.search);
  const code = inner.performance.getEntriesByType("navigation")[0]?.responseStatus || "";
  status.textContent = code;
  status.className = code >= 400 ? "bad" : "good";
}

frame.addEventListener("load", report);
report(); // the frame may have been faster than this script
