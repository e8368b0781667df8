/* Sorting and filtering of the board. The table is whole without this script.
   State lives in the address: #sort=harm&dir=desc&q=llama */
(function () {
  "use strict";
  var table = document.getElementById("board");
  if (!table) return;
  var form = document.querySelector(".tools");
  var input = document.getElementById("filter");
  var shown = document.getElementById("shown");
  var heads = Array.prototype.slice.call(table.querySelectorAll("thead th"));
  var groups = Array.prototype.slice.call(table.tBodies).map(function (body) {
    var rows = Array.prototype.slice.call(body.querySelectorAll("tr.row"));
    return { body: body, rows: rows, family: body.dataset.family };
  });
  var readings = Array.prototype.slice.call(table.querySelectorAll("tr.reading"));
  var total = groups.reduce(function (n, group) { return n + group.rows.length; }, 0);
  var initial = { sort: "class", dir: "asc", q: "" };
  var state = Object.assign({}, initial);

  function column(key) {
    return heads.findIndex(function (head) { return head.dataset.key === key; });
  }

  /* Values that are not there come last, whichever way the rest is sorted. */
  function comparer(index, sign) {
    var isText = heads[index].dataset.sort === "text";
    return function (a, b) {
      var x = a.cells[index].dataset.v, y = b.cells[index].dataset.v;
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * (isText ? x.localeCompare(y, "en") : Number(x) - Number(y));
    };
  }

  function sort() {
    var index = column(state.sort);
    heads.forEach(function (head, i) {
      if (i === index) head.setAttribute("aria-sort", state.dir === "asc" ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    /* By class rows stand below what they are read as; by another column a family is one list. */
    var whole = state.sort !== initial.sort, lists = {};
    groups.forEach(function (group, i) {
      var list = lists[whole ? group.family : i] || { body: group.body, rows: [] };
      lists[whole ? group.family : i] = list;
      list.rows = list.rows.concat(group.rows);
    });
    Object.keys(lists).forEach(function (key) {
      var order = lists[key].rows.sort(comparer(index, state.dir === "asc" ? 1 : -1));
      order.forEach(function (row) { lists[key].body.appendChild(row); });
    });
    readings.forEach(function (row) { row.hidden = whole; });
  }

  function text(row) {
    if (!row.searchText) row.searchText = row.textContent.toLowerCase().replace(/\s+/g, " ");
    return row.searchText;
  }

  function filter() {
    var words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    var visible = 0;
    groups.forEach(function (group) {
      group.rows.forEach(function (row) {
        var hit = words.every(function (word) { return text(row).indexOf(word) >= 0; });
        row.hidden = !hit;
        if (hit) visible += 1;
      });
    });
    groups.forEach(function (group) {
      group.body.hidden = !group.body.querySelector("tr.row:not([hidden])");
    });
    shown.textContent = words.length ? visible + " of " + total + " shown" : "";
  }

  function write() {
    var parts = new URLSearchParams();
    Object.keys(initial).forEach(function (key) {
      if (state[key] !== initial[key]) parts.set(key, state[key]);
    });
    var hash = parts.toString();
    var bare = location.href.replace(/#.*$/, "");
    try {
      history.replaceState(null, "", hash ? bare + "#" + hash : bare);
    } catch (error) {
      location.hash = hash; /* some browsers forbid replaceState on file: */
    }
  }

  /* A hash without "=" is an anchor of the page, not a state. */
  function read() {
    var hash = location.hash.slice(1);
    if (hash && hash.indexOf("=") < 0) return;
    var parts = new URLSearchParams(hash);
    state.sort = column(parts.get("sort")) >= 0 ? parts.get("sort") : initial.sort;
    state.dir = parts.get("dir") === "desc" ? "desc" : "asc";
    state.q = (parts.get("q") || "").slice(0, 200);
    if (input.value !== state.q) input.value = state.q;
    sort();
    filter();
  }

  heads.forEach(function (head) {
    var button = head.querySelector("button");
    button.disabled = false;
    button.addEventListener("click", function () {
      var same = state.sort === head.dataset.key;
      state.dir = same && state.dir === "asc" ? "desc" : "asc";
      state.sort = head.dataset.key;
      sort();
      filter();
      write();
    });
  });
  input.addEventListener("input", function () {
    state.q = input.value;
    filter();
    write();
  });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  window.addEventListener("hashchange", read);
  form.hidden = false;
  read();
})();
