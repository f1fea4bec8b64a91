import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { createBrowserRouter, Outlet, RouterProvider } from "react-router";

import { ApiError } from "./api/client";
import { useSession } from "./api/queries";
import { Broken, Missing } from "./pages/Missing";
import { SignIn } from "./pages/SignIn";
import { Start } from "./pages/Start";
import { FirstPage, ProjectFrame } from "./project/ProjectFrame";
import { ToastProvider } from "./ui/Overlay";
import { Problem } from "./ui/Problem";

/** The server is reached without a network: what the browser says of one stops no call. */
const queries = new QueryClient({
  defaultOptions: {
    queries: { networkMode: "always", retry: (failures, error) => failures < 2 && !(error instanceof ApiError && error.status >= 400), refetchOnWindowFocus: false },
    mutations: { networkMode: "always" },
  },
});

const router = createBrowserRouter([
  {
    element: <Gate />,
    hydrateFallbackElement: <></>,
    errorElement: <Broken />,
    children: [
      { path: "/", element: <Start /> },
      { path: "*", element: <Missing /> },
      { path: "/accounts", lazy: async () => ({ Component: (await import("./pages/Accounts")).Accounts }) },
      { path: "/plans/:plan", lazy: async () => ({ Component: (await import("./plans/PlanPage")).PlanPage }) },
      { path: "/projects/:project", element: <ProjectFrame />, children: [
          { index: true, element: <FirstPage /> },
          { path: "documents", lazy: async () => ({ Component: (await import("./project/documents/DocumentsPage")).DocumentsPage }) },
          { path: "repository", lazy: async () => ({ Component: (await import("./project/repository/RepositoryPage")).RepositoryPage }) },
          { path: "files", lazy: async () => ({ Component: (await import("./project/files/FilesPage")).FilesPage }) },
          { path: "costs", lazy: async () => ({ Component: (await import("./project/costs/CostsPage")).CostsPage }) },
          { path: "channels", lazy: async () => ({ Component: (await import("./project/channels/ChannelsPage")).ChannelsPage }) },
          { path: "conversations", lazy: async () => ({ Component: (await import("./project/conversations/ConversationsPage")).ConversationsPage }) },
          { path: "canvas", lazy: async () => ({ Component: (await import("./project/canvas/CanvasPage")).CanvasPage }) },
          { path: "intents", lazy: async () => ({ Component: (await import("./project/intents/IntentsPage")).IntentsPage }) },
          { path: "tools", lazy: async () => ({ Component: (await import("./project/tools/ToolsPage")).ToolsPage }) },
          { path: "policy", lazy: async () => ({ Component: (await import("./project/policy/PolicyPage")).PolicyPage }) },
          { path: "tests", lazy: async () => ({ Component: (await import("./project/tests/TestsPage")).TestsPage }) },
          { path: "build", lazy: async () => ({ Component: (await import("./project/build/BuildPage")).BuildPage }) },
          { path: "report", lazy: async () => ({ Component: (await import("./project/report/ReportPage")).ReportPage }) },
          { path: "learn", lazy: async () => ({ Component: (await import("./project/learn/LearnPage")).LearnPage }) },
          { path: "run", lazy: async () => ({ Component: (await import("./project/run/RunPage")).RunPage }) },
          { path: "try", lazy: async () => ({ Component: (await import("./project/try/TryPage")).TryPage }) },
          { path: "label", lazy: async () => ({ Component: (await import("./project/label/LabelPage")).LabelPage }) },
          { path: "data", lazy: async () => ({ Component: (await import("./project/data/DataPage")).DataPage }) }] },
    ],
  },
]);

/** The Studio: its pages for whoever is logged in. */
export function App(): ReactNode {
  return (
    <QueryClientProvider client={queries}>
      <ToastProvider>
        <RouterProvider router={router} />
      </ToastProvider>
    </QueryClientProvider>
  );
}

function Gate(): ReactNode {
  const session = useSession();
  if (session.error) return <Problem query={session} />;
  if (!session.data) return null;
  return session.data.name === null ? <SignIn session={session.data} /> : <Outlet />;
}
