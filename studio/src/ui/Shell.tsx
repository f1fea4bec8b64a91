import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, Outlet, useLocation, useNavigate } from "react-router";

import { useLogOut, useSession } from "../api/queries";
import { type Language, LANGUAGES, setLanguage } from "../i18n";
import { applyTheme, currentTheme } from "../theme";
import { IconButton } from "./Button";
import { Icon, type IconName } from "./icons";
import { Offline } from "./Offline";
import { Menu, type MenuItem } from "./Overlay";
import styles from "./Shell.module.css";

const NAMES: Record<Language, string> = { en: "English", de: "Deutsch" };

/** The frame of every page: the bar at the top, and the page below. `crumb` names where one is; `tools` stand at the right. */
export function Shell({ crumb, tools, children }: { crumb?: ReactNode; tools?: ReactNode; children: ReactNode }): ReactNode {
  const { t, i18n } = useTranslation();
  const [theme, setTheme] = useState(currentTheme);
  const other = theme === "dark" ? "light" : "dark";
  return (
    <div className={styles.shell}>
      <a className={styles.skip} href="#content">
        {t("shell.skip")}
      </a>
      <header className={styles.bar}>
        <Link to="/" className={styles.brand} aria-label={`smidgen: ${t("shell.home")}`}>
          <img src="/icon.svg" alt="" width={24} height={24} />
          <span>smidgen</span>
        </Link>
        {crumb && (
          <div className={styles.crumb}>
            <Icon name="right" size={14} />
            <strong>{crumb}</strong>
          </div>
        )}
        <div className={styles.tools}>
          {tools}
          <AccountMenu />
          <select className={styles.language} aria-label={t("shell.language")} value={i18n.language} onChange={(event) => void setLanguage(event.target.value as Language)}>
            {LANGUAGES.map((language) => (
              <option key={language} value={language}>
                {NAMES[language]}
              </option>
            ))}
          </select>
          <IconButton
            icon={other === "dark" ? "moon" : "sun"}
            small
            label={t(`shell.${other}`)}
            onClick={() => {
              applyTheme(other, true);
              setTheme(other);
            }}
          />
        </div>
      </header>
      <Offline />
      {children}
    </div>
  );
}

/** Who is logged in, and what only that person may do; nothing where nobody is. */
function AccountMenu(): ReactNode {
  const { t } = useTranslation();
  const session = useSession().data;
  const logOut = useLogOut();
  const go = useNavigate();
  if (!session?.name) return null;
  const accounts: MenuItem = { label: t("shell.accounts"), icon: "people", onSelect: () => void go("/accounts") };
  const items = [...(session.permissions.includes("manage") ? [accounts] : []), { label: t("shell.logOut"), icon: "right" as const, onSelect: () => logOut.mutate() }];
  return <Menu trigger={<IconButton icon="people" small label={t("shell.account", { name: session.name, role: t(`role.${session.role ?? "viewer"}.title`) })} />} items={items} />;
}

export interface NavItem {
  to: string;
  label: string;
  icon: IconName;
  /** Pages that one comes to from this one, and that are in no list. */
  within?: readonly string[];
  /** What waits there, with the words that say so. */
  waiting?: { count: string; label: string } | undefined;
}

/** A page with a list of its sisters at the left, or above it on a narrow screen. `note` stands above the page. */
export function SideFrame({ label, items, note }: { label: string; items: readonly NavItem[]; note?: ReactNode }): ReactNode {
  const nav = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  useEffect(() => {
    // On a narrow screen the list scrolls sideways.
    const link = nav.current?.querySelector<HTMLElement>("[aria-current=page]");
    // not scrollIntoView: from there Tab would go on behind the link, and never reach what stands before it
    if (nav.current && link) nav.current.scrollLeft = link.offsetLeft - (nav.current.clientWidth - link.offsetWidth) / 2;
  }, [pathname, items.length]);
  return (
    <div className={styles.frame}>
      <nav ref={nav} className={styles.nav} aria-label={label}>
        {items.map((item) => (
          <Link key={item.to} to={item.to} aria-current={[item.to, ...(item.within ?? [])].includes(pathname) ? "page" : undefined}>
            <Icon name={item.icon} />
            {item.label}
            {item.waiting && (
              <span className={styles.waiting}>
                <span aria-hidden="true">{item.waiting.count}</span>
                <span className="visually-hidden">{item.waiting.label}</span>
              </span>
            )}
          </Link>
        ))}
      </nav>
      <main id="content" className={styles.main} tabIndex={-1}>
        {note}
        <Outlet />
      </main>
    </div>
  );
}

/** The main part of a page without a side list. */
export function Main({ children }: { children: ReactNode }): ReactNode {
  return (
    <main id="content" className={styles.main} tabIndex={-1}>
      <div className={styles.narrow}>{children}</div>
    </main>
  );
}

/** A page's title, a line about it, and its main actions. */
export function PageTitle({ title, about, actions }: { title: ReactNode; about?: ReactNode; actions?: ReactNode }): ReactNode {
  return (
    <div className={styles.title}>
      <div>
        <h1>{title}</h1>
        {about && <p>{about}</p>}
      </div>
      {actions}
    </div>
  );
}
