import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { Button, ButtonLink } from "../ui/Button";
import { Card } from "../ui/Card";
import { Empty } from "../ui/Feedback";
import { useServerGone } from "../ui/Offline";
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

function reload(): void {
  window.location.reload();
}

/** What stands in place of a page that could not be shown, such as one of an older Studio after an update. While the server is gone, the
 * frame says so, and the page is loaded again when it is back. */
export function Broken(): ReactNode {
  const { t } = useTranslation();
  const gone = useServerGone(reload);
  if (gone) {
    return (
      <Shell>
        <Main>{null}</Main>
      </Shell>
    );
  }
  return (
    <Shell>
      <Main>
        <Card>
          <Empty icon="warning" title={t("missing.broken")} actions={<Button kind="primary" onClick={reload}>{t("missing.reload")}</Button>}>
            {t("missing.brokenAbout")}
          </Empty>
        </Card>
      </Main>
    </Shell>
  );
}
