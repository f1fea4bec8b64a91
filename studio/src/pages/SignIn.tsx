import { type ReactNode, type SubmitEvent, useState } from "react";
import { Trans, useTranslation } from "react-i18next";

import { type Session, useLogIn } from "../api/queries";
import { Button } from "../ui/Button";
import { Card } from "../ui/Card";
import { Empty } from "../ui/Feedback";
import { TextField } from "../ui/Field";
import { Problem } from "../ui/Problem";
import { Main, Shell } from "../ui/Shell";
import styles from "./Start.module.css";

/** The page of somebody who is not logged in: a form where there are accounts, and the link where the Studio is open to this machine alone. */
export function SignIn({ session }: { session: Session }): ReactNode {
  const { t } = useTranslation();
  return (
    <Shell>
      <Main>
        {session.has_accounts ? (
          <LogInForm about={t(session.accounts_needed ? "signIn.about" : "signIn.aboutHere")} />
        ) : (
          <Card>
            <Empty icon="key" title={t("signIn.linkTitle")}>
              <Trans i18nKey="signIn.link">
                Open the link that <code>smidgen studio</code> printed in the terminal.
              </Trans>
            </Empty>
          </Card>
        )}
      </Main>
    </Shell>
  );
}

function LogInForm({ about }: { about: string }): ReactNode {
  const { t } = useTranslation();
  const logIn = useLogIn();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    logIn.mutate({ name, password });
  }
  return (
    <Card title={t("signIn.title")} note={about}>
      <form className={styles.form} onSubmit={submit}>
        <TextField label={t("signIn.name")} autoComplete="username" required value={name} onChange={(event) => setName(event.target.value)} />
        <TextField label={t("signIn.password")} type="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />
        <Problem query={{ error: logIn.error }} />
        <div>
          <Button kind="primary" type="submit" busy={logIn.isPending}>
            {t("signIn.submit")}
          </Button>
        </div>
      </form>
    </Card>
  );
}
