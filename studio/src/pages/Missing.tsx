import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { Button, ButtonLink } from "../ui/Button";
import { Card } from "../ui/Card";
import { Empty } from "../ui/Feedback";
import { Main, Shell } from "../ui/Shell";

/** What stands at an address that no page has. */
export function Missing(): ReactNode {
  const { t } = useTranslation();
  return (
    <Shell>
      <Main>
        <Card>
          <Empty icon="search" title={t("missing.title")} actions={<ButtonLink kind="primary" to="/">{t("shell.home")}</ButtonLink>}>
            {t("missing.about")}
          </Empty>
        </Card>
      </Main>
    </Shell>
  );
}

/** What stands in place of a page that could not be shown, such as one of an older Studio after an update. */
export function Broken(): ReactNode {
  const { t } = useTranslation();
  return (
    <Shell>
      <Main>
        <Card>
          <Empty icon="warning" title={t("missing.broken")} actions={<Button kind="primary" onClick={() => window.location.reload()}>{t("missing.reload")}</Button>}>
            {t("missing.brokenAbout")}
          </Empty>
        </Card>
      </Main>
    </Shell>
  );
}
