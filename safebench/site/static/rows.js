/* What board.js draws of the entries: the same rows that templates/cells.html makes. */
(function () {
  "use strict";

  function element(name, className, text) {
    var made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function count(number) {
    return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
  }

  function lines(cell, column, n) {
    var there = column.lines.map(function (line) { return line[n]; }).filter(Boolean);
    if (there.length) cell.appendChild(document.createTextNode("\n" + there.join("\n")));
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

  function cell(column, n, id) {
    var made, text = column.main[n], beside = column.beside[n];
    if (column.key === "title") {
      made = element("th");
      made.scope = "row";
      var link = element("a", "", text);
      link.href = "submissions/" + encodeURIComponent(id) + ".html";
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

  /* Of entries in their order; `partOf` gives what one stands under, `whole`: a family is one list. */
  function bodies(list, entries, ids, partOf, whole) {
    var before = null, body = null, made = [], wide = list.length;
    entries.forEach(function (n) {
      var here = partOf(n), isNew = !before || before.family !== here.family;
      if (isNew || (!whole && before !== here)) {
        body = element("tbody");
        made.push(body);
        if (here.name && isNew) body.appendChild(heading(here.name, "group", wide, "bdi"));
        if (!whole || !here.name) {
          body.appendChild(heading(here.heading + " (" + count(here.size) + ")", "group" + (here.name ? " reading" : ""), wide, "span"));
        }
      }
      var row = element("tr", "row");
      list.forEach(function (column) { row.appendChild(cell(column, n, ids[n])); });
      body.appendChild(row);
      before = here;
    });
    return made;
  }

  function pager(page, of, address) {
    if (of < 2) return null;
    var nav = element("nav", "pager"), last = 0;
    nav.setAttribute("aria-label", "Pages");
    [1, page - 2, page - 1, page, page + 1, page + 2, of].forEach(function (number) {
      if (number <= last || number > of) return;
      nav.appendChild(document.createTextNode(last && number > last + 1 ? " … " : " "));
      var link = element("a", "", String(number));
      link.href = address(number);
      if (number === page) link.setAttribute("aria-current", "page");
      nav.appendChild(link);
      last = number;
    });
    return nav;
  }

  window.safebenchRows = { element: element, count: count, head: head, bodies: bodies, pager: pager };
})();
