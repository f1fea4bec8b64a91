import "./styles/base.css";

import { setNonce } from "get-nonce";
import { createRoot } from "react-dom/client";

import { App } from "./App";
import { startTranslation } from "./i18n";
import { applyTheme, currentTheme } from "./theme";

// Styles that dialogs and menus add while they are open carry the page's nonce, which the content security policy asks for.
const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content;
if (nonce) setNonce(nonce);

applyTheme(currentTheme());
const root = document.getElementById("root");
if (!root) throw new Error("the page has no element with the id root");
void startTranslation().then(() => createRoot(root).render(<App />));
