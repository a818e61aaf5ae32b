#include "router/io/router_metrics.hpp"

#include <set>
#include <vector>

#include "router/core/retry_policy.hpp"
#include "router/io/access_log.hpp"
#include "router/io/exposition_text.hpp"
#include "router/io/router_settings.hpp"
#include "router/io/wait_queues.hpp"

namespace svc::router {
namespace {

struct ModelRow {
  std::string labels;  // model and upstream
  SeriesSum sum;
};

struct UpstreamRow {
  std::string labels;
  const Upstream* upstream = nullptr;
};

struct Rows {
  std::vector<ModelRow> models;
  std::vector<UpstreamRow> upstreams;
};

Rows collect(const ControlView& view) {
  Rows rows;
  for (const auto& upstream : view.table->upstreams()) {
    const auto labels = label("", "upstream", upstream.spec.name);
    for (auto& [model, sum] : sum_series(*upstream.live)) {
      rows.models.push_back({label(label("", "model", model), "upstream", upstream.spec.name), sum});
    }
    rows.upstreams.push_back({labels, &upstream});
  }
  return rows;
}

/// `expected`: reasons that have a series from the start. One that begins with its first failure shows no increase.
template <class Expected>
void write_reasons(ExpositionText& out, std::string_view labels,
                   const std::array<std::uint64_t, kFailureReasons>& counts, const Expected& expected) {
  for (std::size_t i = 1; i < counts.size(); ++i) {
    const auto reason = static_cast<FailureReason>(i);
    if (counts[i] == 0 && !expected(reason)) continue;
    out.value(label(labels, "reason", to_string(reason)), counts[i]);
  }
}

void write_models(ExpositionText& out, const std::vector<ModelRow>& rows) {
  const auto counter = [&](const char* name, const char* help, std::uint64_t SeriesSum::*member) {
    out.counter(name, help);
    for (const auto& row : rows) out.value(row.labels, row.sum.*member);
  };
  const auto histogram = [&](const char* name, const char* help, TimeSum SeriesSum::*member) {
    out.histogram(name, help);
    for (const auto& row : rows) out.value(row.labels, row.sum.*member);
  };
  counter("infinilm_router_upstream_requests_total", "Attempts that an instance was chosen for", &SeriesSum::requests);
  counter("infinilm_router_upstream_retries_total", "Of these, attempts beyond a request's first", &SeriesSum::retries);
  out.counter("infinilm_router_upstream_answers_total", "Answers of instances by class of their status");
  for (const auto& row : rows) {
    for (std::size_t i = 1; i < row.sum.answers.size(); ++i) {
      if (i == 1 && row.sum.answers[i] == 0) continue;
      out.value(label(row.labels, "class", std::to_string(i) + "xx"), row.sum.answers[i]);
    }
  }
  out.counter("infinilm_router_upstream_failures_total", "Attempts that failed, by reason");
  for (const auto& row : rows) write_reasons(out, row.labels, row.sum.failures, blames_upstream);
  histogram("infinilm_router_upstream_queue_seconds", "Time in the queue of requests that the instance took from it",
            &SeriesSum::queue_time);
  histogram("infinilm_router_ttft_seconds", "From the request to the first byte of its answer's body",
            &SeriesSum::first_byte);
  histogram("infinilm_router_itl_seconds", "Between two pieces of a streamed answer", &SeriesSum::between_chunks);
  histogram("infinilm_router_request_seconds", "From the request to the end of its answer", &SeriesSum::whole);
  counter("infinilm_router_prompt_tokens_total", "Tokens of prompts, as instances said", &SeriesSum::prompt_tokens);
  counter("infinilm_router_cached_tokens_total", "Of these, tokens that came from a cache", &SeriesSum::cached_tokens);
  counter("infinilm_router_completion_tokens_total", "Tokens generated: as instances said, or counted events",
          &SeriesSum::completion_tokens);
  counter("infinilm_router_answer_bytes_total", "Bytes of answers sent to clients", &SeriesSum::bytes_to_client);
}

void write_upstreams(ExpositionText& out, const std::vector<UpstreamRow>& rows, const ControlView& view) {
  out.gauge("infinilm_router_upstream_up", "1 when the instance may get new work");
  for (const auto& row : rows) out.value(row.labels, std::uint64_t{row.upstream->live->usable(view.now) ? 1U : 0U});
  out.gauge("infinilm_router_upstream_state", "1 for the state that the instance is in");
  for (const auto& row : rows)
    out.value(label(row.labels, "state", state_of(*row.upstream->live, view.now)), std::uint64_t{1});
  out.gauge("infinilm_router_upstream_in_flight", "Requests that the instance is working on");
  for (const auto& row : rows) {
    out.value(row.labels, std::uint64_t{row.upstream->live->in_flight.load(std::memory_order_relaxed)});
  }
  out.gauge("infinilm_router_upstream_weight", "Weight of the instance");
  for (const auto& row : rows) out.value(row.labels, row.upstream->spec.weight);
  out.gauge("infinilm_router_upstream_slow_start_share", "Share of its weight that the instance has while it ramps up");
  for (const auto& row : rows) {
    out.value(row.labels, ramp_share(*row.upstream->live, view.table->settings().slow_start, view.now));
  }
  out.counter("infinilm_router_upstream_ejections_total", "Times the instance was taken out for its failures");
  for (const auto& row : rows) out.value(row.labels, row.upstream->live->ejections.load(std::memory_order_relaxed));
  out.counter("infinilm_router_probes_total", "Health probes by outcome");
  for (const auto& row : rows) {
    const ProbeNote* note = view.note(*row.upstream->live);
    out.value(label(row.labels, "outcome", "good"), note == nullptr ? std::uint64_t{0} : note->good);
    out.value(label(row.labels, "outcome", "bad"), note == nullptr ? std::uint64_t{0} : note->bad);
  }
}

void write_router(ExpositionText& out, const ControlView& view) {
  const ThreadSum sum = sum_threads(view.threads);
  const auto counter = [&out](const char* name, const char* help, std::uint64_t value) {
    out.counter(name, help);
    out.value("", value);
  };
  const auto gauge = [&out](const char* name, const char* help, auto value) {
    out.gauge(name, help);
    out.value("", value);
  };
  counter("infinilm_router_requests_total", "Requests of clients", sum.requests);
  counter("infinilm_router_own_requests_total", "Of these, requests for the router's own pages", sum.own_requests);
  counter("infinilm_router_attempts_total", "Attempts at instances", sum.attempts);
  counter("infinilm_router_retries_total", "Attempts beyond a request's first", sum.retries);
  counter("infinilm_router_retries_denied_total", "Retries that the budget did not allow", sum.retries_denied);
  counter("infinilm_router_panic_picks_total", "Choices made in spite of an ejection", sum.panic_picks);
  counter("infinilm_router_backup_picks_total", "Choices of a backup", sum.backup_picks);
  counter("infinilm_router_clients_gone_total", "Requests whose client left before the end", sum.client_gone);
  counter("infinilm_router_connections_accepted_total", "Connections of clients", sum.connections_accepted);
  counter("infinilm_router_connections_refused_total", "Connections refused for a limit", sum.connections_refused);
  counter("infinilm_router_upstream_connects_total", "Connections made to instances", sum.upstream_connects);
  counter("infinilm_router_upstream_reuses_total", "Requests sent on a kept connection", sum.upstream_reuses);
  out.counter("infinilm_router_refusals_total", "Answers of the router's own instead of an instance's, by reason");
  write_reasons(out, "", sum.refusals, [](FailureReason) { return true; });
  gauge("infinilm_router_connections", "Open connections of clients", sum.connections_open);
  gauge("infinilm_router_requests_active", "Requests in progress", sum.requests_active);
  gauge("infinilm_router_buffered_bytes", "Bytes held in memory for requests and slow clients", sum.buffered_bytes);
  out.histogram("infinilm_router_queue_seconds", "Time in the queue");
  out.value("", sum.queue_time);
  out.histogram("infinilm_router_hold_seconds", "Of these, times of requests that hold kept back");
  out.value("", sum.hold_time);
  out.histogram("infinilm_router_pick_to_first_byte_seconds", "From the choice of an instance to its first byte");
  out.value("", sum.pick_to_first_byte);

  gauge("infinilm_router_queue_length", "Requests that wait for a free instance",
        static_cast<std::uint64_t>(view.queues->waiting_in_all()));
  gauge("infinilm_router_held_requests", "Of these, requests that hold keeps back for a better instance",
        static_cast<std::uint64_t>(view.queues->held_in_all()));
  out.gauge("infinilm_router_queue_length_by_model", "Requests that wait for a free instance, by model");
  std::set<std::string> models;
  for (const auto& upstream : view.table->upstreams()) {
    models.insert(upstream.spec.models.begin(), upstream.spec.models.end());
  }
  for (const auto& model : models) {
    out.value(label("", "model", model), static_cast<std::uint64_t>(view.queues->waiting(model)));
  }
  if (view.access_log != nullptr) {
    counter("infinilm_router_access_log_lines_dropped_total", "Access log lines that the writer had no time for",
            view.access_log->dropped());
  }
}

void write_discovery(ExpositionText& out, const ControlView& view) {
  const auto& facts = view.discovery;
  out.gauge("infinilm_router_view_age_seconds", "Since the registry was last heard; absent without a registry");
  if (facts.view_age) out.value("", std::chrono::duration<double>(*facts.view_age).count());
  out.gauge("infinilm_router_view_revision", "Grows with each routing table");
  out.value("", view.table->revision());
  out.gauge("infinilm_router_upstreams", "Instances that are known");
  out.value("", static_cast<std::uint64_t>(view.table->upstreams().size()));
  out.gauge("infinilm_router_registry_state", "1 for the state of the link to the registry");
  out.value(label("", "state", facts.state), std::uint64_t{1});
  out.gauge("infinilm_router_draining", "1 while the router is shutting down");
  out.value("", std::uint64_t{view.draining ? 1U : 0U});
  const Group* all = view.table->find("");
  out.gauge("infinilm_router_panic", "1 while too few instances are usable and ejections are ignored");
  out.value("", std::uint64_t{all != nullptr && all->panic ? 1U : 0U});
  out.counter("infinilm_router_registry_errors_total", "Calls of the registry that failed");
  out.value("", facts.errors);
  out.counter("infinilm_router_registry_events_total", "Changes that a watch of the registry told");
  out.value("", facts.watch_events);
  out.counter("infinilm_router_registry_lists_total", "Whole lists taken from the registry");
  out.value("", facts.polls + facts.resyncs);
  out.counter("infinilm_router_registry_unreadable_total", "Entries of the registry that were passed over");
  out.value("", facts.unreadable);
}

/// Only where some model's method is prefix_aware.
void write_prefix(ExpositionText& out, const ControlView& view) {
  if (view.prefix == nullptr) return;
  const auto facts = view.prefix->facts();
  if (!facts.used) return;
  out.counter("infinilm_router_prefix_prompt_tokens_total", "Tokens of prompts that were sent, estimated");
  out.value("", facts.prompt_tokens);
  out.counter("infinilm_router_prefix_matched_tokens_total", "Of these, tokens thought to be in the instance's cache");
  out.value("", facts.matched_tokens);
  out.histogram("infinilm_router_prefix_ttft_ratio", "Real time to the first byte of a stream over the predicted one");
  out.value("", PrefixBook::kRatioBounds, facts.real_over_predicted, facts.real_over_predicted_sum);
  out.gauge("infinilm_router_prefix_index_bytes", "Memory of what instances have in their caches");
  out.value("", static_cast<std::uint64_t>(facts.index_bytes));
  out.gauge("infinilm_router_prefix_index_entries", "Blocks of prompts that are remembered");
  out.value("", static_cast<std::uint64_t>(facts.index_entries));
  const auto each = [&](const char* name, const char* help, auto member) {
    out.gauge(name, help);
    for (const auto& lane : facts.lanes) out.value(label("", "upstream", lane.name), member(lane));
  };
  using Lane = PrefixBook::LaneFacts;
  each("infinilm_router_prefix_upstream_blocks", "Blocks of prompts thought to be in the instance's cache",
       [](const Lane& lane) { return static_cast<std::uint64_t>(lane.index_blocks); });
  each("infinilm_router_prefix_upstream_index_bytes", "The instance's share of the index, by its blocks",
       [](const Lane& lane) { return lane.index_bytes; });
  each("infinilm_router_prefix_upstream_queued_tokens", "Tokens of prompts that the instance has still to compute",
       [](const Lane& lane) { return lane.queued_tokens; });
  each("infinilm_router_prefix_upstream_decoding", "Answers that the instance is generating",
       [](const Lane& lane) { return std::uint64_t{lane.decoding}; });
  each("infinilm_router_prefix_upstream_prefill_rate", "Tokens of prompts a second, learned",
       [](const Lane& lane) { return lane.prefill_rate; });
  each("infinilm_router_prefix_upstream_piece_rate", "Pieces of one stream a second, learned; 0 = nothing yet",
       [](const Lane& lane) { return lane.piece_rate; });
  out.gauge("infinilm_router_prefix_token_factor",
            "Tokens as engines count them over those estimated from bytes, by model");
  for (const auto& [model, factor] : facts.bytes_per_token_factor) out.value(label("", "model", model), factor);
  out.counter("infinilm_router_prefix_stalls_total",
              "Instances that were taken out because their answers made no progress");
  out.value("", view.stalls);
}

}  // namespace

std::string RouterMetrics::text(const ControlView& view) const {
  ExpositionText out;
  const Rows rows = collect(view);
  write_router(out, view);
  write_discovery(out, view);
  write_upstreams(out, rows.upstreams, view);
  write_models(out, rows.models);
  write_prefix(out, view);
  return process_.text() + out.take();
}

}  // namespace svc::router
