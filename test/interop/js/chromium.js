// A browser, and what it is pointed at; see browser.js.
'use strict';
const { chromium } = require('playwright-core');

const server = process.env.CHANSERV_PAGED;
let browser;

// A page of its own, as nobody has seen anything before.
async function opened(options = {}) {
    browser ??= chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium-headless-shell',
        args: process.getuid() === 0 ? ['--no-sandbox'] : [],
    });
    return (await browser).newPage(options);
}

module.exports = { base: `http://${server}`, listed: process.env.CHANSERV_ORIGIN, opened, server };
