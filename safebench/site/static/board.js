/* Sorting, filtering and choosing of columns over all entries of the board. Every page is whole
   without this script. State lives in the address: #sort=harm&dir=desc&q=llama&page=2
   Data are classic scripts that assign to window.safebench, since fetch fails on file://. */
(function () {
  "use strict";
  var PAGE = 50, MINUS = "\u2212";
  var draw = window.safebenchRows, element = draw.element, count = draw.count;
  var table = document.getElementById("board");
  if (!table) return;
  var form = document.querySelector(".tools");
  var input = document.getElementById("filter");
  var found = document.getElementById("found");
  var fixedHead = table.tHead, fixedBodies = [].slice.call(table.tBodies);
  var fixedPager = document.querySelector(".pager");
  var initial = { sort: "class", dir: "asc", q: "", page: "1", cols: "" };
  var state = Object.assign({}, initial);
  var data = null, columns = [], byKey = {}, choices = [], hay = [], asked = 0, drawn = "";
  var parts = [], part; /* what stands below one heading; entry -> its part */
  var waiting = {}; /* address of a script -> what to do when it is there */

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
    part = new Uint32Array(data.total);
    var start = 0;
    function add(heading, size, name, family) {
      part.fill(parts.length, start, start += size);
      parts.push({ family: family, name: name, heading: heading, size: size });
    }
    data.families.forEach(function (one, family) {
      one.sections.forEach(function (section) { add(section[0], section[1], one.name, family); });
    });
    add(data.below[0], data.below[1], "", data.families.length);
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

  function partOf(n) {
    return parts[part[n]];
  }

  /* What is searched of each entry, so far; the rest is made in idle time, or when it is asked for. */
  function fill(upTo) {
    var texts = columns.filter(function (c) { return c.text && c.main; });
    for (var n = hay.length; n < Math.min(upTo, data.total); n += 1) {
      var words = texts.map(function (c) { return c.main[n]; });
      words.push(data.ids[n]);
      data.lines.forEach(function (line) { words.push(line[n]); });
      hay.push(words.join(" ").toLowerCase());
    }
  }

  /* The place of every entry among the different values of a column; where there is none, -1. */
  function ranks(column) {
    if (!column.ranks) {
      var of = new Map(), place = new Map();
      column.main.forEach(function (text) { if (!of.has(text)) of.set(text, rank(column, text)); });
      var values = Array.from(new Set(of.values())).filter(function (value) { return value !== null; });
      values.sort(function (a, b) { return a < b ? -1 : a > b ? 1 : 0; });
      values.forEach(function (value, n) { place.set(value, n); });
      of.forEach(function (value, text) { of.set(text, value === null ? -1 : place.get(value)); });
      column.ranks = Int32Array.from(column.main, function (text) { return of.get(text); });
      column.values = values.length;
    }
    return column.ranks;
  }

  /* Entries that are searched and chosen, family by family, in the order that is asked for. */
  function view() {
    var words = state.q.toLowerCase().split(/\s+/).filter(Boolean), list = [];
    var chosen = choices.filter(function (column) { return state[column.key] !== ""; });
    if (words.length) fill(data.total);
    function has(word) { return hay[n].indexOf(word) >= 0; }
    function is(c) { return c.main[n] === state[c.key]; }
    for (var n = 0; n < data.total; n += 1) if (chosen.every(is) && words.every(has)) list.push(n);
    if (state.sort === initial.sort && state.dir === initial.dir) return list;
    /* By class rows stand below what they are read as; by another column a family is one list. */
    var whole = state.sort !== initial.sort, column = byKey[state.sort], of = ranks(column), most = column.values;
    /* One number says all that decides: numbers are sorted without a function. */
    return Float64Array.from(list, function (n) {
      var group = whole ? partOf(n).family : part[n];
      var at = of[n] < 0 ? most : state.dir === "asc" ? of[n] : most - 1 - of[n];
      return (group * (most + 1) + at) * data.total + n;
    }).sort().map(function (number) { return number % data.total; });
  }

  function mark() {
    [].forEach.call(table.tHead.rows[0].cells, function (one) {
      if (one.dataset.key === state.sort) one.setAttribute("aria-sort", state.dir === "asc" ? "ascending" : "descending");
      else one.removeAttribute("aria-sort");
    });
  }

  function put(newHead, newBodies, pager) {
    if (table.tHead !== newHead) table.replaceChild(newHead, table.tHead);
    if (newBodies) {
      [].slice.call(table.tBodies).forEach(function (body) { table.removeChild(body); });
      newBodies.forEach(function (body) { table.appendChild(body); });
    }
    var old = document.querySelector(".pager");
    if (old && old !== pager) old.remove();
    if (pager) document.querySelector(".scroll").insertAdjacentElement("afterend", pager);
    mark();
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
        found.textContent = drawn = "";
        sync();
        return put(fixedHead, fixedBodies, fixedPager);
      }
      var list = shownColumns();
      complete(list, function () {
        if (turn !== asked) return; /* something else was asked for meanwhile */
        var all = view(), of = Math.max(1, Math.ceil(all.length / PAGE));
        var page = Math.min(Math.max(parseInt(state.page, 10) || 1, 1), of);
        var keys = list.map(function (c) { return c.key; }).join();
        var entries = all.slice((page - 1) * PAGE, page * PAGE);
        var there = [].map.call(table.tHead.rows[0].cells, function (c) { return c.dataset.key; }).join();
        var wanted = [keys, state.sort, entries.join()].join(" "), same = wanted === drawn;
        put(
          keys === there ? table.tHead : draw.head(list),
          same ? null : draw.bodies(list, entries, data.ids, partOf, state.sort !== initial.sort),
          draw.pager(page, of, function (number) { return "#" + address({ page: String(number) }); })
        );
        drawn = wanted;
        found.textContent = count(all.length) + " of " + count(data.total);
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
      if (state[c.key] && c.main.indexOf(state[c.key]) < 0) state[c.key] = "";
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
    if (again && again !== button) again.focus(); /* which lays the page out at once */
  });
  input.addEventListener("input", function () { change({ q: input.value }); });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  window.addEventListener("hashchange", read);
  form.hidden = false;
  read();
  /* Before they are needed, and after the first frame: a little at a time. */
  var idle = window.requestIdleCallback || setTimeout;
  function one(tasks) {
    if (!tasks.length) return;
    idle(function () {
      tasks.shift()();
      one(tasks);
    });
  }
  window.addEventListener("load", function () {
    idle(function () {
      open(function () {
        var shown = columns.filter(function (c) { return c.shown; }), tasks = [];
        complete(shown, function () {
          shown.forEach(function (column) { tasks.push(function () { ranks(column); }); });
          for (var n = 1000; n < data.total + 1000; n += 1000) tasks.push(fill.bind(null, n));
          one(tasks);
        });
      });
    });
  });
})();
