// Puts every state of the run into the page as it comes. Without this script the page reloads itself.
"use strict";
const events = new EventSource("/");
const put = (event) => { document.getElementById("main").innerHTML = JSON.parse(event.data); };
events.addEventListener("state", put);
events.addEventListener("end", (event) => { put(event); events.close(); });
