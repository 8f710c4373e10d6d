// A part of the page itself. The scripts are fetched after the first frame, which would share the processor
// with them otherwise; all at once, since each import would be found only when another one has come. A
// page in the background has no frames.
const NAMES = [
  'app', 'charts', 'connection', 'data', 'dom', 'events', 'format', 'graph', 'isolate', 'isolates',
  'overview', 'pool', 'pools', 'profile', 'threads', 'waits',
];

function fetchScripts() {
  for (const name of NAMES) {
    const link = document.createElement('link');
    link.rel = 'modulepreload';
    link.href = `/${name}.js`;
    document.head.append(link);
  }
  const script = document.createElement('script');
  script.type = 'module';
  script.src = '/app.js';
  document.head.append(script);
}

if (document.hidden) fetchScripts();
else requestAnimationFrame(() => setTimeout(fetchScripts));
