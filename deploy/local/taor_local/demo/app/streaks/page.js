"use strict";

const list = document.getElementById("habits");
const problem = document.getElementById("problem");

async function ask(method, path, fields) {
  const answer = await fetch(path, { method, body: fields && JSON.stringify(fields) });
  const body = await answer.json();
  problem.textContent = answer.ok ? "" : body.problem;
  return body;
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function row(habit) {
  const days = habit.days.map(({ day, kept }) => element("button", {
    className: kept ? "day kept" : "day",
    title: day,
    ariaPressed: String(kept),
    ariaLabel: `${habit.name}, ${day}`,
    onclick: () => change("POST", `/api/habits/${habit.number}/toggle`, { day }),
  }));
  return element("li", {},
    element("strong", { textContent: habit.name }),
    element("span", { className: "streak", textContent: `${habit.streak} in a row, best ${habit.longest}` }),
    element("button", { className: "remove", textContent: "remove", onclick: () => change("DELETE", `/api/habits/${habit.number}`) }),
    element("div", { className: "days" }, ...days));
}

async function show() {
  const { habits } = await ask("GET", "/api/habits");
  list.replaceChildren(...habits.map(row));
  document.getElementById("empty").hidden = habits.length > 0;
}

async function change(method, path, fields) {
  await ask(method, path, fields);
  const said = problem.textContent;
  await show();
  problem.textContent = said;
}

document.getElementById("new").onsubmit = async (event) => {
  event.preventDefault();
  const name = document.getElementById("name");
  await change("POST", "/api/habits", { name: name.value });
  if (!problem.textContent) name.value = "";
};

show();
