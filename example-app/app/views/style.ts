export const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; }
main { max-width: 36rem; margin: auto; }
label { display: block; margin-top: 1rem; }
input { display: block; width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; }
button { margin-top: 1.5rem; padding: .5rem 1.5rem; font: inherit; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .5rem; border-bottom: 1px solid #ddd; }
.wrong { color: #a00; }
.note { background: #eef4ee; padding: .75rem; }
`;
