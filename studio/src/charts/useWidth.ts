import { type RefObject, useEffect, useRef, useState } from "react";

/** The width of an element in pixels, as it changes; `first` before it is drawn. */
export function useWidth<E extends HTMLElement>(first = 600): [RefObject<E | null>, number] {
  const place = useRef<E>(null);
  const [width, setWidth] = useState(first);
  useEffect(() => {
    const element = place.current;
    if (!element || typeof ResizeObserver === "undefined") return;
    const watcher = new ResizeObserver(() => setWidth(Math.max(200, element.clientWidth)));
    watcher.observe(element);
    return () => watcher.disconnect();
  }, []);
  return [place, width];
}
