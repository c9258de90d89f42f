// Loads MathJax, which lies beside this file, on pages that have formulas.
(() => {
  if (!document.querySelector(".arithmatex")) return;
  const script = document.createElement("script");
  script.src = new URL("mathjax/tex-svg-full.js", document.currentScript.src).href;
  window.MathJax = {
    tex: { inlineMath: [["\\(", "\\)"]], displayMath: [["\\[", "\\]"]] },
    startup: { pageReady: () => MathJax.startup.defaultPageReady().then(mark) },
    options: { ignoreHtmlClass: ".*|", processHtmlClass: "arithmatex", enableMenu: false },
  };
  document.head.append(script);

  // A formula within a line that is wider than the line gets one of its own, which scrolls.
  function mark() {
    for (const formula of document.querySelectorAll("span.arithmatex")) {
      const drawn = formula.querySelector("mjx-container").getBoundingClientRect().width;
      formula.classList.toggle("wide", drawn > formula.parentElement.clientWidth);
    }
  }
})();
