"""How faces look, in JupyterLab and elsewhere, in light and in dark.

JupyterLab's own variables come first, then those of VS Code, then plain black on
white. Colours of statuses are our own: those of JupyterLab's light theme are too pale
for text (its green on white has a contrast of 4.1 to 1; WCAG 2.2 wants 4.5).
"""

from __future__ import annotations

from kutti_sdk.views.elements import StyleSheet

STYLE = StyleSheet(
    "style",
    (
        """
.kutti,.kutti-view{
--kutti-text:var(--jp-content-font-color1,var(--vscode-editor-foreground,#1f1f1f));
--kutti-page:var(--jp-layout-color0,var(--vscode-editor-background,#fff));
--kutti-line:var(--jp-border-color1,var(--vscode-panel-border,#bdbdbd));
--kutti-shade:var(--jp-layout-color1,var(--vscode-editorWidget-background,#fff));
--kutti-good:#1b6e2c;--kutti-warn:#8a4b00;--kutti-bad:#b3261e;--kutti-quiet:#595959;
--kutti-accent:#0b57a4}
[data-jp-theme-light="false"] :is(.kutti,.kutti-view),.vscode-dark :is(.kutti,.kutti-view){
--kutti-good:#7fd18b;--kutti-warn:#f5b95f;--kutti-bad:#ff9d94;--kutti-quiet:#b8b8b8;
--kutti-accent:#8ab8f5}
.kutti-view .kutti{--kutti-page:transparent}
.kutti{color:var(--kutti-text);background:var(--kutti-page);
font-family:var(--jp-ui-font-family,system-ui,sans-serif);
font-size:var(--jp-ui-font-size1,13px);line-height:1.5;overflow-x:auto}
.kutti table{border-collapse:collapse;margin:4px 0;color:inherit;font-size:inherit}
.kutti caption{text-align:left;font-weight:600;padding:2px 0;white-space:nowrap}
.kutti table tr{background:none!important}
.kutti table :is(th,td){text-align:left!important;vertical-align:top;padding:2px 10px 2px 0;
border-bottom:1px solid var(--kutti-line);background:none!important}
.kutti table th[scope=row]{white-space:nowrap}
.kutti table th[scope=col]{vertical-align:bottom}
.kutti code{background:none;color:inherit;font-family:var(--jp-code-font-family,monospace)}
.kutti td code{display:block;min-width:16ch;max-width:48ch;white-space:pre-wrap;
overflow-wrap:anywhere;line-height:inherit;padding:0}
.kutti.kutti pre{margin:4px 0;padding:4px 8px;background:var(--kutti-shade);color:var(--kutti-text);
border:1px solid var(--kutti-line);font-family:var(--jp-code-font-family,monospace);
white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal;max-height:24em;overflow-y:auto}
.kutti p{margin:2px 0}
.kutti .status{white-space:nowrap;font-weight:600}
.kutti .good{color:var(--kutti-good)}.kutti .warn{color:var(--kutti-warn)}
.kutti .bad{color:var(--kutti-bad)}.kutti .quiet{color:var(--kutti-quiet)}
.kutti .error{border-left:4px solid var(--kutti-bad);padding-left:8px;white-space:pre-wrap}
.kutti .columns{display:flex;flex-wrap:wrap;gap:12px}
.kutti .columns>*{flex:1 1 24em;min-width:0}
.kutti svg{max-width:100%;height:auto}
.kutti-view .lm-TabBar-tabLabel{color:var(--kutti-text)}
.kutti-view input::placeholder{color:var(--kutti-quiet);opacity:1}
.kutti-view.kutti-view :is(input,select,button,pre,div):focus-visible{
outline:2px solid var(--kutti-accent)!important;outline-offset:1px}
""",
    ),
)
"""Goes with every face, which is to look right in a saved notebook, too."""
