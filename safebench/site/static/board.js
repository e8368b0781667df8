/* Sorting, filtering and choosing of columns over all entries of the board. Every page is whole
   without this script. State lives in the address: #sort=harm&dir=desc&q=llama&page=2
   Data are classic scripts that assign to window.safebench, since fetch fails on file://. */
(function () {
  "use strict";
  var PAGE = 50, MINUS = "\u2212";
  var table = document.getElementById("board");
  if (!table) return;
  var form = document.querySelector(".tools");
  var input = document.getElementById("filter");
  var found = document.getElementById("found");
  var fixedHead = table.tHead, fixedBodies = [].slice.call(table.tBodies);
  var fixedPager = document.querySelector(".pager");
  var initial = { sort: "class", dir: "asc", q: "", page: "1", cols: "" };
  var state = Object.assign({}, initial);
  var data = null, columns = [], byKey = {}, choices = [], rows = [], asked = 0;
  var waiting = {}; /* address of a script -> what to do when it is there */

  function element(name, className, text) {
    var made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function load(name, done) {
    if (waiting[name]) return waiting[name] === true ? done() : void waiting[name].push(done);
    waiting[name] = [done];
    var script = document.createElement("script");
    script.src = "data/v2/" + name;
    script.onload = function () {
      var all = waiting[name];
      waiting[name] = true;
      all.forEach(function (one) { one(); });
    };
    script.onerror = function () { found.textContent = "The data of this board could not be loaded."; };
    document.head.appendChild(script);
  }

  /* Texts come joined, or as different words with a number for each entry. */
  function texts(given) {
    if (typeof given === "string") return given.split("\n");
    return given[1].map(function (n) { return given[0][n]; });
  }

  function rank(column, text) {
    if (text === "") return null;
    if (column.order) return column.order.indexOf(text);
    if (column.text) return text.toLowerCase();
    return parseFloat(text.replace(MINUS, "-").replace(/[^0-9.\-]/g, ""));
  }

  function open(done) {
    if (data) return done();
    load("core.js", function () {
      if (!data) prepare();
      done();
    });
  }

  function prepare() {
    data = window.safebench;
    columns = data.columns;
    columns.forEach(function (column) { byKey[column.key] = column; });
    Object.keys(data.main).forEach(function (key) { byKey[key].main = texts(data.main[key]); });
    data.lines = data.lines.map(texts);
    data.ids = data.ids.split("\n");
    choices = columns.filter(function (column) { return column.choice; });
    choices.forEach(function (column) { if (!(column.key in initial)) initial[column.key] = ""; });
    state = Object.assign({}, initial, state);
    var number = 0, family = 0, section = 0;
    function add(heading, size, name) {
      for (var i = 0; i < size; i += 1, number += 1) {
        rows.push({ n: number, family: family, section: section, name: name, heading: heading, size: size });
      }
      section += 1;
    }
    data.families.forEach(function (one) {
      one.sections.forEach(function (part) { add(part[0], part[1], one.name); });
      family += 1;
    });
    add(data.below[0], data.below[1], "");
    tools();
  }

  /* What is not in core.js, for the columns that are shown. */
  function complete(list, done) {
    var groups = ["board"].concat(list.every(function (c) { return c.shown; }) ? [] : ["more"]);
    var left = groups.length;
    groups.forEach(function (group) {
      load("cols-" + group + ".js", function () {
        var rest = data.rest[group];
        Object.keys(rest).forEach(function (key) {
          var column = byKey[key];
          if (column.beside) return;
          column.beside = texts(rest[key].beside);
          column.lines = key === "title" ? data.lines : rest[key].lines.map(texts);
          if (rest[key].main !== undefined) column.main = texts(rest[key].main);
        });
        left -= 1;
        if (!left) done();
      });
    });
  }

  function shownColumns() {
    var extra = state.cols ? state.cols.split(",") : [];
    return columns.filter(function (c) { return c.shown || extra.indexOf(c.key) >= 0; });
  }

  /* Entries that are searched and chosen, family by family, in the order that is asked for. */
  function view() {
    var words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    var chosen = choices.filter(function (column) { return state[column.key] !== ""; });
    if (words.length && !data.hay) {
      data.hay = data.ids.map(function (id, n) {
        var parts = [id].concat(columns.map(function (c) { return c.text && c.main ? c.main[n] : ""; }));
        return parts.concat(data.lines.map(function (line) { return line[n]; })).join(" ").toLowerCase();
      });
    }
    var list = rows.filter(function (row) {
      return chosen.every(function (c) { return c.main[row.n] === state[c.key]; }) &&
        words.every(function (word) { return data.hay[row.n].indexOf(word) >= 0; });
    });
    if (state.sort === initial.sort && state.dir === initial.dir) return list;
    var column = byKey[state.sort], sign = state.dir === "asc" ? 1 : -1;
    if (!column.ranks) column.ranks = column.main.map(function (text) { return rank(column, text); });
    /* By class rows stand below what they are read as; by another column a family is one list. */
    var group = state.sort === initial.sort ? "section" : "family", ranks = column.ranks;
    return list.sort(function (a, b) {
      if (a[group] !== b[group]) return a[group] - b[group];
      var x = ranks[a.n], y = ranks[b.n];
      if (x === null || y === null) return (x === null) - (y === null) || a.n - b.n;
      return x < y ? -sign : x > y ? sign : a.n - b.n;
    });
  }

  function lines(cell, column, n) {
    column.lines.forEach(function (line) {
      if (line[n]) cell.appendChild(element("small", "", line[n]));
    });
  }

  function path(svg, className, d) {
    var made = document.createElementNS("http://www.w3.org/2000/svg", "path");
    made.setAttribute("class", className);
    made.setAttribute("d", d);
    svg.appendChild(made);
  }

  function bar(column, n) {
    var drawn = column.lines.map(function (line) { return line[n]; }).filter(function (text) {
      return /^(base|control) /.test(text);
    });
    if (column.main[n]) drawn.push("tuned " + column.main[n] + " " + column.beside[n]);
    if (!drawn.length) return null;
    var svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    var high = 8 * drawn.length;
    var given = { "class": "marks", viewBox: "0 0 100 " + high, height: high, preserveAspectRatio: "none", "aria-hidden": "true" };
    Object.keys(given).forEach(function (key) { svg.setAttribute(key, given[key]); });
    drawn.forEach(function (text, lane) {
      var at = text.match(/1\.00|\.\d\d/g).map(function (x) { return Math.round(100 * x); }), y = 8 * lane + 4;
      var name = text.split(" ")[0], line = "M" + at[1] + " " + y + "H" + at[2];
      path(svg, name, name === "tuned" ? line : line + "M" + at[0] + " " + (y - 3) + "v6");
      if (name === "tuned") path(svg, "at", "M" + at[0] + " " + y + "h0");
    });
    return svg;
  }

  function cell(column, n) {
    var made, text = column.main[n], beside = column.beside[n];
    if (column.key === "title") {
      made = element("th");
      made.scope = "row";
      var link = element("a", "", text);
      link.href = "submissions/" + encodeURIComponent(data.ids[n]) + ".html";
      made.appendChild(link);
      lines(made, column, n);
      return made;
    }
    made = element("td", column.key + (column.order && text ? " " + text : ""));
    var picture = column.key === "harm" ? bar(column, n) : null;
    if (picture) made.appendChild(picture);
    if (!text) {
      if (beside) made.appendChild(element("i", "", beside));
    } else {
      made.appendChild(column.plain ? document.createTextNode(text) : element("b", "", text));
      if (beside) made.appendChild(document.createTextNode(" " + beside));
    }
    lines(made, column, n);
    if (column.key === "level") {
      var more = element("details");
      more.appendChild(element("summary", "", "More"));
      made.appendChild(more);
    }
    return made;
  }

  function heading(text, className, wide, inner) {
    var row = element("tr", className), head = element("th");
    head.scope = "rowgroup";
    head.colSpan = wide;
    head.appendChild(element(inner, "stay", text));
    row.appendChild(head);
    return row;
  }

  function head(list) {
    var made = element("thead"), row = element("tr");
    list.forEach(function (column) {
      var one = element("th", column.key), button = element("button", "", column.head);
      one.scope = "col";
      one.dataset.key = column.key;
      button.type = "button";
      one.appendChild(button);
      row.appendChild(one);
    });
    made.appendChild(row);
    return made;
  }

  function mark() {
    [].forEach.call(table.tHead.rows[0].cells, function (one) {
      if (one.dataset.key === state.sort) one.setAttribute("aria-sort", state.dir === "asc" ? "ascending" : "descending");
      else one.removeAttribute("aria-sort");
    });
  }

  function bodies(list, part, start) {
    var before = null, body = null, wide = list.length, whole = state.sort !== initial.sort;
    return part.reduce(function (all, row) {
      if (!before || before.family !== row.family || (!whole && before.section !== row.section)) {
        body = element("tbody");
        all.push(body);
        if (row.name && (!before || before.family !== row.family)) {
          body.appendChild(heading(row.name, "group", wide, "bdi"));
        }
        if (!whole || !row.name) {
          body.appendChild(heading(row.heading + " (" + row.size.toLocaleString("en") + ")", "group" + (row.name ? " reading" : ""), wide, "span"));
        }
      }
      var made = element("tr", "row");
      list.forEach(function (column) { made.appendChild(cell(column, row.n)); });
      body.appendChild(made);
      before = row;
      return all;
    }, []);
  }

  function put(newHead, newBodies, pager) {
    if (table.tHead !== newHead) table.replaceChild(newHead, table.tHead);
    [].slice.call(table.tBodies).forEach(function (body) { table.removeChild(body); });
    newBodies.forEach(function (body) { table.appendChild(body); });
    var old = document.querySelector(".pager");
    if (old && old !== pager) old.remove();
    if (pager) document.querySelector(".scroll").insertAdjacentElement("afterend", pager);
    mark();
  }

  function pagerOf(page, of) {
    if (of < 2) return null;
    var nav = element("nav", "pager"), last = 0;
    nav.setAttribute("aria-label", "Pages");
    [1, page - 2, page - 1, page, page + 1, page + 2, of].forEach(function (number) {
      if (number <= last || number > of) return;
      nav.appendChild(document.createTextNode(last && number > last + 1 ? " … " : " "));
      var link = element("a", "", String(number));
      link.href = "#" + address({ page: String(number) });
      if (number === page) link.setAttribute("aria-current", "page");
      nav.appendChild(link);
      last = number;
    });
    return nav;
  }

  function isInitial() {
    return Object.keys(state).every(function (key) { return state[key] === initial[key]; });
  }

  function show() {
    var turn = asked += 1;
    if (!data && isInitial()) return;
    open(function () {
      check();
      if (isInitial()) {
        found.textContent = "";
        sync();
        return put(fixedHead, fixedBodies, fixedPager);
      }
      var list = shownColumns();
      complete(list, function () {
        if (turn !== asked) return; /* something else was asked for meanwhile */
        var all = view(), of = Math.max(1, Math.ceil(all.length / PAGE));
        var page = Math.min(Math.max(parseInt(state.page, 10) || 1, 1), of);
        var keys = list.map(function (c) { return c.key; }).join();
        var there = [].map.call(table.tHead.rows[0].cells, function (c) { return c.dataset.key; }).join();
        var newHead = keys === there ? table.tHead : head(list);
        put(newHead, bodies(list, all.slice((page - 1) * PAGE, page * PAGE)), pagerOf(page, of));
        found.textContent = all.length.toLocaleString("en") + " of " + data.total.toLocaleString("en");
        sync();
      });
    });
  }

  /* Nothing that an address says is more than a choice among what there is. */
  function check() {
    if (!Object.prototype.hasOwnProperty.call(byKey, state.sort)) state.sort = initial.sort;
    if (state.dir !== "desc") state.dir = "asc";
    state.q = state.q.slice(0, 200);
    if (!/^[0-9]{1,6}$/.test(state.page)) state.page = "1";
    state.cols = columns.filter(function (c) {
      return !c.shown && (state.cols.split(",").indexOf(c.key) >= 0 || state.sort === c.key);
    }).map(function (c) { return c.key; }).join(",");
    choices.forEach(function (c) {
      if (c.main.indexOf(state[c.key]) < 0) state[c.key] = "";
    });
  }

  function sync() {
    if (input.value !== state.q) input.value = state.q;
    [].forEach.call(form.querySelectorAll("select"), function (one) { one.value = state[one.name]; });
    [].forEach.call(form.querySelectorAll("input[type=checkbox]"), function (one) {
      one.checked = state.cols.split(",").indexOf(one.name) >= 0;
    });
  }

  function address(changes) {
    var parts = new URLSearchParams(), all = Object.assign({}, state, changes);
    Object.keys(all).forEach(function (key) {
      if (all[key] !== initial[key]) parts.set(key, all[key]);
    });
    return parts.toString();
  }

  function write() {
    var hash = address({}), bare = location.href.replace(/#.*$/, "");
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
    function take() {
      Object.keys(initial).forEach(function (key) {
        state[key] = parts.has(key) ? parts.get(key) : initial[key];
      });
      show();
    }
    if (hash && !data) open(take);
    else take();
  }

  function change(changes) {
    state = Object.assign(state, { page: "1" }, changes);
    open(function () {
      check();
      write();
      show();
    });
  }

  /* Filters by the values there are, and further columns; made once the data are here. */
  function tools() {
    function picker(name, label, options) {
      var wrap = element("label", "", label + " "), select = element("select");
      select.name = name;
      options.forEach(function (pair) { select.appendChild(new Option(pair[1], pair[0])); });
      select.addEventListener("change", function () {
        var changes = {};
        changes[name] = select.value;
        change(changes);
      });
      wrap.appendChild(select);
      more.appendChild(wrap);
    }
    var more = element("details", "more-tools"), menu;
    more.appendChild(element("summary", "", "More filters, order and columns"));
    choices.forEach(function (column) {
      var seen = Object.create(null), words;
      column.main.forEach(function (text) { seen[text] = true; });
      words = Object.keys(seen).filter(Boolean);
      words.sort(column.order ? function (a, b) { return column.order.indexOf(a) - column.order.indexOf(b); } : undefined);
      if (words.length > 1 && words.length <= 500) {
        picker(column.key, column.head, [["", "any"]].concat(words.map(function (w) { return [w, w]; })));
      }
    });
    picker("sort", "Sort by", columns.map(function (c) { return [c.key, c.head]; }));
    picker("dir", "Order", [["asc", "ascending"], ["desc", "descending"]]);
    menu = element("fieldset");
    menu.appendChild(element("legend", "", "Further columns"));
    columns.filter(function (c) { return !c.shown; }).forEach(function (column) {
      var wrap = element("label"), box = element("input");
      box.type = "checkbox";
      box.name = column.key;
      box.addEventListener("change", function () {
        var list = state.cols.split(",").filter(function (key) { return key && key !== column.key; });
        change({ cols: list.concat(box.checked ? [column.key] : []).join(","), sort: state.sort === column.key ? initial.sort : state.sort });
      });
      wrap.appendChild(box);
      wrap.appendChild(document.createTextNode(" " + column.head));
      menu.appendChild(wrap);
    });
    more.appendChild(menu);
    form.appendChild(more);
  }

  fixedHead.querySelectorAll("button").forEach(function (button) { button.disabled = false; });
  table.addEventListener("click", function (event) {
    var button = event.target.closest("thead button");
    if (!button) return;
    var key = button.parentNode.dataset.key;
    change({ sort: key, dir: state.sort === key && state.dir === "asc" ? "desc" : "asc" });
    var again = table.querySelector("th[data-key=" + key + "] button");
    if (again) again.focus();
  });
  input.addEventListener("input", function () { change({ q: input.value }); });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  window.addEventListener("hashchange", read);
  form.hidden = false;
  read();
  /* Before they are needed, and after the first frame. */
  window.addEventListener("load", function () {
    (window.requestIdleCallback || setTimeout)(function () {
      open(function () { complete(columns.filter(function (c) { return c.shown; }), function () {}); });
    });
  });
})();
