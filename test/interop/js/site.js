// Pages of other sites, by any name of this machine; see browser.js.
'use strict';
const http = require('http');
const { once } = require('events');
const { listed, opened } = require('./chromium');

const site = http.createServer((_, answer) => {
    answer.setHeader('content-type', 'text/html');
    answer.end('<!doctype html><title>a page</title>');
});

async function at(origin) {
    if (!site.listening) await once(site.listen(new URL(listed).port, '127.0.0.1'), 'listening');
    const page = await opened();
    await page.goto(origin);
    return page;
}

module.exports = { at };
