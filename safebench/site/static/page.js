/* A table or picture that is wider than the screen can be scrolled by the keyboard; no other is a tab stop. */
(function () {
  "use strict";
  var regions = Array.prototype.slice.call(document.querySelectorAll(".scroll"));
  function mark() {
    regions.forEach(function (region) {
      if (region.scrollWidth > region.clientWidth) region.tabIndex = 0;
      else region.removeAttribute("tabindex");
    });
  }
  window.addEventListener("resize", mark);
  document.addEventListener("toggle", mark, true);
  mark();
  /* An anchor inside a folded part opens it. */
  function open() {
    var target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (var part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  }
  window.addEventListener("hashchange", open);
  open();
})();
