// Shows, above the frame, where the running program is and how it answered.
const frame = document.querySelector("iframe[name=try]");
const address = document.getElementById("address");
const status = document.getElementById("status");

// Letters of all languages are shown as such; what was escaped for another reason stays as it was asked for.
function readable(url) {
  return url.replace(/(?:%[89a-f][0-9a-f])+/gi, (bytes) => {
    try {
      return decodeURIComponent(bytes);
    } catch {
      return bytes;
    }
  });
}

function report() {
  const inner = frame.contentWindow;
  let page;
  try {
    page = inner.document;
  } catch {
    return; // another site's page, or the browser's own about an error
  }
  if (!page?.documentElement || inner.location.href === "about:blank") return;
  // An answer without a style of its own is shown in the reader's colours.
  if (!page.styleSheets.length) page.documentElement.style.colorScheme = "light dark";
  address.textContent = readable(inner.location.pathname + inner.location.search);
  const code = inner.performance.getEntriesByType("navigation")[0]?.responseStatus || "";
  status.textContent = code;
  status.className = code >= 400 ? "bad" : "good";
}

frame.addEventListener("load", report);
report(); // the frame may have been faster than this script
