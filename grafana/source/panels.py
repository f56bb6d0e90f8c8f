"""Panels, rows and dashboards in few words, over Grafana's own types (grafana-foundation-sdk).

A panel has a title, a sentence that says what it answers, a unit, and queries with legends: nothing else may differ between panels, so
that all dashboards read alike.
"""

from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models

SOURCE = models.DataSourceRef(type_val="prometheus", uid="prometheus")
# Grafana's grid is 24 wide.
GRAPH_WIDTH, GRAPH_HEIGHT, STAT_WIDTH, STAT_HEIGHT = 8, 8, 3, 4
NODES = "elasticore-nodes"


@dataclass(frozen=True)
class Query:
    """One line, or one for each combination of the labels in its legend."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A graph over time, or one large figure (`big`)."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    big: bool = False
    # The dashboard that tells more; panels by node lead to that node without being told.
    more: str | None = None
    # From which value on a large figure is orange, and red.
    warn: float | None = None
    bad: float | None = None
    good_is_high: bool = False
    # The one good value of a large figure: fewer are as bad as more.
    only: int | None = None
    # Words for figures: {0: "down"}.
    words: dict[int, str] = field(default_factory=dict)
    width: int | None = None
    minimum: float | None = 0
    maximum: float | None = None
    stacked: bool = False

    def build(self):
        panel = stat.Panel() if self.big else timeseries.Panel()
        panel.title(self.title).description(self.description).unit(self.unit).datasource(SOURCE)
        panel.span(self.width or (STAT_WIDTH if self.big else GRAPH_WIDTH)).height(STAT_HEIGHT if self.big else GRAPH_HEIGHT)
        if self.minimum is not None:
            panel.min(self.minimum)
        if self.maximum is not None:
            panel.max(self.maximum)
        for index, query in enumerate(self.queries):
            panel.with_target(self._target(query, "ABCDEFGH"[index]))
        if self.words:
            panel.mappings([words_of(self.words)])
        if links := self._links():
            panel.data_links(links)
        if self.big:
            self._big(panel)
        else:
            self._graph(panel)
        return panel

    def _target(self, query: Query, ref: str):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref).datasource(SOURCE)
        return target.instant() if self.big else target.range()

    def _links(self) -> list:
        links = []
        if any("{{instance}}" in query.legend for query in self.queries):
            links.append(link("This node", f"/d/{NODES}?var-node=${{__field.labels.instance}}&${{__url_time_range}}"))
        if self.more:
            links.append(link("More", f"/d/{self.more}?${{__url_time_range}}"))
        return links

    def _big(self, panel) -> None:
        panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        panel.graph_mode(shapes.BigValueGraphMode.NONE).color_mode(shapes.BigValueColorMode.VALUE)
        panel.thresholds(self._thresholds())

    def _thresholds(self):
        if self.only is not None:
            bounds = ((None, "red"), (self.only, "green"), (self.only + 1, "red"))
            return (
                dashboard.ThresholdsConfig()
                .mode(models.ThresholdsMode.ABSOLUTE)
                .steps([models.Threshold(value=v, color=c) for v, c in bounds])
            )
        colors = ["red", "orange", "green"] if self.good_is_high else ["green", "orange", "red"]
        bounds = (self.bad, self.warn) if self.good_is_high else (self.warn, self.bad)
        steps = [models.Threshold(value=None, color=colors[0] if any(b is not None for b in bounds) else "green")]
        steps += [models.Threshold(value=bound, color=color) for bound, color in zip(bounds, colors[1:]) if bound is not None]
        return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)

    def _graph(self, panel) -> None:
        legend = common.VizLegendOptions().show_legend(True).placement(shapes.LegendPlacement.BOTTOM)
        legend.display_mode(shapes.LegendDisplayMode.TABLE).calcs(["lastNotNull", "max"])
        panel.legend(legend)
        # All series at the pointer, the largest first.
        panel.tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING))
        panel.fill_opacity(30 if self.stacked else 10).line_width(1).show_points(shapes.VisibilityMode.NEVER)
        if self.stacked:
            panel.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL))


@dataclass(frozen=True)
class Row:
    """Panels that answer one question."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A choice at the top of a dashboard, of the values a label has; all of them at first."""

    name: str
    label: str
    description: str
    # `label_values(series, label)`
    values: str
    # What all of them are in a query.
    everything: str = ".*"

    def build(self):
        variable = dashboard.QueryVariable(self.name).label(self.label).description(self.description).datasource(SOURCE)
        variable.query(self.values).refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
        variable.multi(True).include_all(True).all_value(self.everything)
        return variable.current(models.VariableOption(selected=True, text="All", value="$__all"))


@dataclass(frozen=True)
class Board:
    """A dashboard."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()

    def build(self):
        board = dashboard.Dashboard(self.title).uid(self.uid).description(self.description).tags(["elasticore"])
        board.readonly().tooltip(models.DashboardCursorSync.CROSSHAIR).timezone("browser").refresh("5s").time("now-15m", "now")
        for variable in self.variables:
            board.with_variable(variable.build())
        for annotation in ANNOTATIONS:
            board.annotation(annotation.build())
        # The other dashboards of this tag, at the same time; variables go along, which means the same node everywhere.
        others = dashboard.DashboardLink("Dashboards").type(models.DashboardLinkType.DASHBOARDS).tags(["elasticore"])
        board.link(others.as_dropdown(False).keep_time(True).include_vars(True))
        number = 0
        for row in self.rows:
            number += 1
            board.with_row(dashboard.Row(row.title).id(number))
            for panel in row.panels:
                number += 1
                board.with_panel(panel.build().id(number))
        return board.build()


@dataclass(frozen=True)
class Annotation:
    """A mark on all graphs where its query answers."""

    name: str
    expr: str
    color: str
    # Grafana's types leave out what is Prometheus' own: what the mark says.
    says: str

    def build(self):
        return dashboard.AnnotationQuery().name(self.name).datasource(SOURCE).enable(True).icon_color(self.color).expr(self.expr)


# Windows of three scrapes: long enough that a change between two of them is seen, short enough that the mark stands where it was.
ANNOTATIONS = (
    Annotation("Members", 'max by (role) (changes(cluster_members{job="master"}[15s])) > 0', "blue", "{{role}}: nodes came or went"),
    Annotation("Ring", 'max(changes(cluster_ring_epoch{job="master"}[15s])) > 0', "purple", "the ring changed"),
    Annotation("Leader", 'max(increase(cluster_leader_changes_total{job="master"}[15s])) > 0', "orange", "another leader"),
    Annotation("Starts", "max by (instance) (resets(server_uptime_seconds[15s])) > 0", "green", "{{instance}} was started again"),
)


def graph(title: str, description: str, unit: str, *queries: Query, **options) -> Panel:
    """A graph over time."""
    return Panel(title, description, unit, queries, **options)


def figure(title: str, description: str, unit: str, *queries: Query, **options) -> Panel:
    """One large figure."""
    return Panel(title, description, unit, queries, big=True, **options)


def link(title: str, url: str):
    """A link from a point of a graph."""
    return dashboard.DashboardLink(title).url(url)


def words_of(words: dict[int, str]):
    """Shows figures as words."""
    results = {str(number): models.ValueMappingResult(text=word, index=index) for index, (number, word) in enumerate(words.items())}
    return models.ValueMap(options=results)


def quantiles(histogram: str, selector: str = "", window: str = "$__rate_interval", shares=(0.5, 0.95, 0.99), by: str = "") -> tuple:
    """Queries for the p50, p95 and p99 of a histogram; `by` adds a label to keep. Where nothing happened there is no line rather than NaN."""
    labels = f"le, {by}" if by else "le"
    suffix = f" {{{{{by}}}}}" if by else ""
    series = f"{histogram}_bucket{{{selector}}}" if selector else f"{histogram}_bucket"
    return tuple(
        Query(f"histogram_quantile({share}, sum by ({labels}) (rate({series}[{window}]))) >= 0", f"p{share * 100:g}{suffix}")
        for share in shares
    )
