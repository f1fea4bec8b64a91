import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { api, body } from "../api/client";
import { useMay } from "../api/queries";
import type { components } from "../api/schema";
import { Button, IconButton } from "../ui/Button";
import { Card } from "../ui/Card";
import { failureOf } from "../ui/failure";
import { Badge, Empty, Notice, Skeleton } from "../ui/Feedback";
import { Select, TextField } from "../ui/Field";
import { Icon } from "../ui/icons";
import { Dialog, Menu, useToast } from "../ui/Overlay";
import { Problem } from "../ui/Problem";
import { Main, PageTitle, Shell } from "../ui/Shell";
import styles from "./Start.module.css";

type Account = components["schemas"]["Person"];
type Role = Account["role"];

const ROLES: readonly Role[] = ["viewer", "builder", "owner"];
const LEAST_PASSWORD = 10;

/** The people who may log in, and what each may do. */
export function Accounts(): ReactNode {
  const { t } = useTranslation();
  const may = useMay("manage");
  const accounts = useQuery({ queryKey: ["accounts"], queryFn: () => body(api.GET("/api/v1/accounts")), enabled: may });
  const [edited, setEdited] = useState<Account | "new" | null>(null);
  return (
    <Shell>
      <Main>
        <PageTitle
          title={t("accounts.title")}
          about={t("accounts.about")}
          actions={
            <Button kind="primary" icon="plus" disabled={!may} onClick={() => setEdited("new")}>
              {t("accounts.add")}
            </Button>
          }
        />
        {may ? <Problem query={accounts} /> : <Notice tone="warn">{t("accounts.ownersOnly")}</Notice>}
        {may && (
          <Card flush>
            {accounts.isPending && <Skeleton lines={3} label={t("common.loading")} />}
            {accounts.data?.length === 0 && (
              <Empty icon="people" title={t("accounts.none")}>
                {t("accounts.noneTodo")}
              </Empty>
            )}
            {accounts.data && accounts.data.length > 0 && (
              <ul className={styles.list}>
                {accounts.data.map((account) => (
                  <AccountLine key={account.name} account={account} onEdit={() => setEdited(account)} />
                ))}
              </ul>
            )}
          </Card>
        )}
        {edited && <AccountForm account={edited === "new" ? null : edited} onClose={() => setEdited(null)} />}
      </Main>
    </Shell>
  );
}

function AccountLine({ account, onEdit }: { account: Account; onEdit: () => void }): ReactNode {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const toast = useToast();
  const [asking, setAsking] = useState(false);
  const remove = useMutation({
    mutationFn: () => body(api.DELETE("/api/v1/accounts/{name}", { params: { path: { name: account.name } } })),
    onSuccess: () => {
      toast({ text: t("accounts.deleted", { name: account.name }) });
      return queries.invalidateQueries({ queryKey: ["accounts"] });
    },
    onError: (error) => toast({ text: failureOf(t, error).message }),
    onSettled: () => setAsking(false),
  });
  const items = [
    { label: t("accounts.change"), icon: "people" as const, onSelect: onEdit },
    { label: t("common.delete"), icon: "trash" as const, danger: true, onSelect: () => setAsking(true) },
  ];
  return (
    <li>
      <Icon name="people" />
      <strong>{account.name}</strong>
      <Badge tone={account.role === "owner" ? "accent" : "plain"}>{t(`role.${account.role}.title`)}</Badge>
      <span className={styles.facts}>{t(`role.${account.role}.about`)}</span>
      <Menu trigger={<IconButton icon="more" small label={t("common.more")} />} items={items} />
      <Dialog
        open={asking}
        onClose={() => setAsking(false)}
        title={t("accounts.deleteTitle", { name: account.name })}
        about={t("accounts.deleteAbout")}
        foot={
          <>
            <Button onClick={() => setAsking(false)}>{t("common.cancel")}</Button>
            <Button kind="danger" busy={remove.isPending} onClick={() => remove.mutate()}>
              {t("common.delete")}
            </Button>
          </>
        }
      />
    </li>
  );
}

function AccountForm({ account, onClose }: { account: Account | null; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [name, setName] = useState(account?.name ?? "");
  const [role, setRole] = useState<Role>(account?.role ?? "builder");
  const [password, setPassword] = useState("");
  const save = useMutation({
    mutationFn: () => body(api.PUT("/api/v1/accounts/{name}", { params: { path: { name: name.trim() } }, body: { role, password: password || null } })),
    onSuccess: () => {
      onClose();
      return queries.invalidateQueries({ queryKey: ["accounts"] });
    },
  });
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    save.mutate();
  }
  const short = password !== "" && password.length < LEAST_PASSWORD;
  return (
    <Dialog
      open
      onClose={onClose}
      title={account ? account.name : t("accounts.add")}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" type="submit" form="account" busy={save.isPending} disabled={short || name.trim() === "" || (!account && password === "")}>
            {t("common.save")}
          </Button>
        </>
      }
    >
      <form id="account" onSubmit={submit} className={styles.form}>
        {!account && <TextField label={t("signIn.name")} autoComplete="off" required maxLength={100} value={name} onChange={(event) => setName(event.target.value)} />}
        <Select label={t("accounts.role")} help={t(`role.${role}.about`)} value={role} options={ROLES.map((value) => ({ value, label: t(`role.${value}.title`) }))} onChange={(event) => setRole(event.target.value as Role)} />
        <TextField
          label={t(account ? "accounts.newPassword" : "signIn.password")}
          help={t(account ? "accounts.newPasswordHelp" : "accounts.passwordHelp", { count: LEAST_PASSWORD })}
          error={short && t("accounts.short", { count: LEAST_PASSWORD })}
          type="password"
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        <Problem query={{ error: save.error }} />
      </form>
    </Dialog>
  );
}
