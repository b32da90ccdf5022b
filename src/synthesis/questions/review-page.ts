/** @file The page of questions to be read and struck: one HTML text, with nothing from elsewhere. */

/** A question as the page shows it. */
export interface Shown {
  id: string;
  question: string;
  answers: string[];
  kind: string;
  /** "train"; empty where nobody knows. */
  part: string;
  isStruck: boolean;
  /** What it was made from; the text may be empty. */
  passages: { id: string; text: string }[];
}

const style = `body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#222;background:#fff}
header{position:sticky;top:0;background:inherit;padding:.6rem 0;border-bottom:1px solid #ccc}
input,select,button{font:inherit;padding:.2rem .5rem}
article{padding:.7rem 0;border-bottom:1px solid #ddd;display:grid;grid-template-columns:1fr auto;gap:.2rem 1rem}
article.struck .words{opacity:.45;text-decoration:line-through}
small{color:#666}summary{cursor:pointer;color:#666}pre{white-space:pre-wrap;background:#f5f5f2;padding:.6rem}
article:focus-within{background:#fafaf4}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#242424}article:focus-within{background:#202020}small,summary{color:#aaa}}`;

const script = `const all=JSON.parse(document.getElementById("data").textContent);
const list=document.getElementById("list"),told=document.getElementById("told"),find=document.getElementById("find"),kind=document.getElementById("kind"),more=document.getElementById("more");
let most=200;
const make=(tag,text,name)=>{const one=document.createElement(tag);if(text!==undefined)one.textContent=text;if(name)one.className=name;return one};
for(const one of [...new Set(all.map(q=>q.kind))].sort()){const option=make("option",one);option.value=one;kind.append(option)}
const tell=()=>{told.textContent=all.filter(q=>!q.isStruck).length+" questions, "+all.filter(q=>q.isStruck).length+" struck"};
async function set(q,article,button){button.disabled=true;
 try{const answer=await fetch("/strike?token="+token,{method:"POST",headers:{"content-type":"application/json"},body:JSON.stringify({id:q.id,struck:!q.isStruck})});
  if(!answer.ok)throw new Error(await answer.text());q.isStruck=!q.isStruck;show(q,article,button);tell()}
 catch(error){alert("Not written: "+error.message)}finally{button.disabled=false;button.focus()}}
const show=(q,article,button)=>{article.classList.toggle("struck",q.isStruck);button.textContent=q.isStruck?"put back":"strike"};
function draw(){list.replaceChildren();const words=find.value.toLowerCase();
 const fitting=all.filter(q=>(kind.value===""||q.kind===kind.value)&&(q.question+" "+q.answers.join(" ")).toLowerCase().includes(words));
 for(const q of fitting.slice(0,most)){const article=make("article"),words=make("div",undefined,"words"),button=make("button");
  words.append(make("div",q.question),make("strong",q.answers.join(" / ")),make("small","  "+q.kind+", "+q.part));
  button.onclick=()=>set(q,article,button);const details=make("details");details.append(make("summary",q.passages.map(p=>p.id).join(" → ")));
  for(const p of q.passages)if(p.text)details.append(make("pre",p.text));
  article.append(words,button,details);show(q,article,button);list.append(article)}
 more.hidden=fitting.length<=most;tell()}
find.oninput=kind.onchange=()=>{most=200;draw()};more.onclick=()=>{most+=200;draw()};draw();`;

/** @param token of the address: requests of the page carry it */
export function reviewPage(questions: readonly Shown[], token: string): string {
  // Inside of a script element, only its end could end it.
  const data = JSON.stringify(questions).replaceAll("<", "\\u003c");
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Questions</title><style>${style}</style>
<header><strong id="told"></strong> <input id="find" type="search" placeholder="words" aria-label="words"> <select id="kind" aria-label="kind"><option value="">every kind</option></select></header>
<main id="list"></main><p><button id="more" hidden>more</button></p>
<script type="application/json" id="data">${data}</script><script>const token=${JSON.stringify(token)};${script}</script></html>
`;
}
