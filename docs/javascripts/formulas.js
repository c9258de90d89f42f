// Loads MathJax, which lies beside this file, on pages that have formulas.
(() => {
  if (!document.querySelector(".arithmatex")) return;
  const script = document.createElement("script");
  script.src = new URL("mathjax/tex-svg-full.js", document.currentScript.src).href;
  window.MathJax = {
    tex: { inlineMath: [["\\(", "\\)"]], displayMath: [["\\[", "\\]"]] },
    options: { ignoreHtmlClass: ".*|", processHtmlClass: "arithmatex", enableMenu: false },
  };
  document.head.append(script);
})();
