import { Dialog as RadixDialog, DropdownMenu } from "radix-ui";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { IconButton } from "./Button";
import { cx } from "./cx";
import { Icon, type IconName } from "./icons";
import styles from "./Overlay.module.css";

/** What opened the last dialog. Where one dialog takes the place of another, that is what opened the first. */
let opened: HTMLElement | null = null;

/** What a dialog that opens now gives the focus back to: for an item of a menu the menu's button, since the item is gone by then. */
function openerNow(): HTMLElement | null {
  const focused = document.activeElement;
  const menu = focused?.closest("[role=menu]");
  if (menu) opened = document.getElementById(menu.getAttribute("aria-labelledby") ?? "");
  else if (focused instanceof HTMLElement && focused !== document.body && !focused.closest("[role=dialog]")) opened = focused;
  return opened;
}

/** A dialog over the page. Escape and a click beside it close it; the focus stays within and goes back afterwards. */
export function Dialog({ open, onClose, title, about, wide = false, foot, children }: { open: boolean; onClose: () => void; title: ReactNode; about?: ReactNode; wide?: boolean; foot?: ReactNode; children?: ReactNode }): ReactNode {
  const { t } = useTranslation();
  const opener = useRef<HTMLElement | null>(null);
  return (
    <RadixDialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <RadixDialog.Portal>
        <RadixDialog.Overlay className={styles.veil} />
        <RadixDialog.Content
          className={cx(styles.dialog, wide && styles.wide)}
          onOpenAutoFocus={(event) => {
            opener.current = openerNow();
            const field = (event.currentTarget as HTMLElement).querySelector<HTMLElement>("input, select, textarea");
            if (!field) return;
            event.preventDefault();
            field.focus();
          }}
          onCloseAutoFocus={(event) => {
            // Radix gives the focus back to a trigger of its own only, which these dialogs do not have.
            event.preventDefault();
            const now = document.activeElement;
            if (now && now !== document.body && now.isConnected) return; // what the dialog brought about has taken the focus
            (opener.current?.isConnected ? opener.current : document.getElementById("content"))?.focus();
          }}
          {...(about ? {} : { "aria-describedby": undefined })}>
          <div className={styles.top}>
            <div>
              <RadixDialog.Title asChild>
                <h2>{title}</h2>
              </RadixDialog.Title>
              {about && <RadixDialog.Description className={styles.about}>{about}</RadixDialog.Description>}
            </div>
            <RadixDialog.Close asChild>
              <IconButton icon="close" small label={t("common.close")} />
            </RadixDialog.Close>
          </div>
          {children}
          {foot && <div className={styles.foot}>{foot}</div>}
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  );
}

export interface MenuItem {
  label: string;
  icon?: IconName;
  danger?: boolean;
  disabled?: boolean;
  onSelect: () => void;
}

/** Actions behind one button, by mouse or keyboard. */
export function Menu({ trigger, items }: { trigger: ReactNode; items: readonly MenuItem[] }): ReactNode {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className={styles.menu} align="end" sideOffset={6}>
          {items.map((item) => (
            <DropdownMenu.Item key={item.label} className={cx(styles.item, item.danger && styles.dangerous)} disabled={item.disabled === true} onSelect={item.onSelect}>
              {item.icon && <Icon name={item.icon} size={16} />}
              {item.label}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

/** Actions at a point of the screen, opened by what stands there. */
export function MenuAt({ x, y, label, items, onClose }: { x: number; y: number; label: string; items: readonly MenuItem[]; onClose: () => void }): ReactNode {
  return (
    <DropdownMenu.Root modal={false} open onOpenChange={(open) => !open && onClose()}>
      <DropdownMenu.Trigger asChild>
        <span className={styles.point} style={{ left: x, top: y }} />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className={styles.menu} align="start" sideOffset={6} aria-label={label}>
          <DropdownMenu.Label className={styles.menuLabel}>{label}</DropdownMenu.Label>
          {items.map((item) => (
            <DropdownMenu.Item key={item.label} className={cx(styles.item, item.danger && styles.dangerous)} disabled={item.disabled === true} onSelect={item.onSelect}>
              {item.icon && <Icon name={item.icon} size={16} />}
              {item.label}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

interface ToastText {
  text: string;
  action?: { label: string; run: () => void };
}

const Toasts = createContext<(toast: ToastText) => void>(() => undefined);
const TOAST_MS = 7_000;

/** Show a short message at the edge of the screen, with one action at most, such as undo. */
export function useToast(): (toast: ToastText) => void {
  return useContext(Toasts);
}

/** Shows the messages of `useToast`, one at a time; a newer one replaces the older. */
export function ToastProvider({ children }: { children: ReactNode }): ReactNode {
  const [shown, setShown] = useState<(ToastText & { key: number }) | null>(null);
  const next = useRef(0);
  const show = useCallback((toast: ToastText) => {
    next.current += 1;
    setShown({ ...toast, key: next.current });
  }, []);
  const key = shown?.key;
  useEffect(() => {
    if (key === undefined) return;
    const timer = window.setTimeout(() => setShown(null), TOAST_MS);
    return () => window.clearTimeout(timer);
  }, [key]);
  const action = shown?.action;
  const value = useMemo(() => show, [show]);
  return (
    <Toasts value={value}>
      {children}
      <div className={styles.toasts} role="status">
        {shown && (
          <div className={styles.toast}>
            <span>{shown.text}</span>
            {action && (
              <button
                type="button"
                onClick={() => {
                  action.run();
                  setShown(null);
                }}
              >
                {action.label}
              </button>
            )}
          </div>
        )}
      </div>
    </Toasts>
  );
}
