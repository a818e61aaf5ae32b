#include "agent/io/admin_json.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "common/core/time_text.hpp"
#include "common/version.hpp"

namespace svc::agent {
namespace {

using nlohmann::ordered_json;

std::string text_of_json(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(std::chrono::floor<std::chrono::milliseconds>(time)).count();
}

/// A time that is 0 when there is none.
ordered_json seconds_or_null(Duration time) {
  return time == Duration::zero() ? ordered_json() : ordered_json(seconds(time));
}

ordered_json number_or_null(const std::optional<std::uint64_t>& number) {
  return number ? ordered_json(*number) : ordered_json();
}

double uptime(const InstanceView& view, WallTime now) {
  return seconds(
      std::max<std::chrono::nanoseconds>(now - view.agent_started, {}));  // the calendar may have been set back
}

ordered_json running_port(const InstanceView& view) {
  return view.processes && view.engine_port != 0 ? ordered_json(view.engine_port) : ordered_json();
}

int pages_port(const InstanceView& view) { return view.port + 1; }

ordered_json exit_json(WallTime at, const ExitOutcome& exit) {
  return {{"at", iso8601(at)},
          {"kind", word_of(exit.kind)},
          {"value", exit.value},
          {"core_dumped", exit.core_dumped},
          {"rank", exit.rank},
          {"text", text_of(exit)},
          {"last_lines", exit.last_lines}};
}

ordered_json exits_json(const InstanceView& view) {
  ordered_json exits = ordered_json::array();
  for (const auto& [at, exit] : view.exits) {
    exits.push_back(exit_json(at, exit));
  }
  return exits;
}

ordered_json counts_json(const InstanceView& view) {
  ordered_json counts = ordered_json::object();
  for (const auto& [kind, count] : view.exit_counts) {
    counts[kind] = count;
  }
  return counts;
}

}  // namespace

std::string health_json(const InstanceView& view, std::string_view status, WallTime now) {
  return text_of_json({{"status", status},
                       {"service", view.name},
                       {"babysitter", "enhanced"},
                       {"infinilm_server_running", view.processes},
                       {"infinilm_server_port", running_port(view)},
                       {"timestamp", epoch_seconds(now)}});
}

std::string info_json(const ServiceSettings& settings, const InstanceView& view, WallTime now) {
  ordered_json metadata{
      {"type", settings.service_type}, {"babysitter", "enhanced"}, {"started_at", iso8601(view.agent_started)}};
  const auto given = ordered_json::parse(settings.metadata_json, nullptr, false);
  if (given.is_object()) {
    metadata.update(given);
  }
  return text_of_json({{"name", settings.name},
                       {"host", settings.host},
                       {"port", pages_port(view)},
                       {"url", pages_url(settings)},
                       {"infinilm_server_port", running_port(view)},
                       {"service_type", settings.service_type},
                       {"restart_count", view.restarts},
                       {"uptime", uptime(view, now)},
                       {"metadata", metadata}});
}

std::string status_json(const InstanceView& view, WallTime now) {
  return text_of_json({{"name", view.name},
                       {"service_type", view.service_type},
                       {"host", view.host},
                       {"port", view.port},
                       {"pages_port", pages_port(view)},
                       {"engine_port", running_port(view)},
                       {"state", view.state},
                       {"status", view.status},
                       {"ready", view.ready},
                       {"running", view.processes},
                       {"pids", view.pids},
                       {"shim_pid", view.shim == 0 ? ordered_json() : ordered_json(view.shim)},
                       {"state_seconds", seconds(view.state_for)},
                       {"up_seconds", seconds_or_null(view.up_for)},
                       {"ready_seconds", seconds_or_null(view.ready_for)},
                       {"restarts", view.restarts},
                       {"probe_failures", view.probe_failures},
                       {"exits", exits_json(view)},
                       {"exit_counts", counts_json(view)},
                       {"last_line", view.last_line},
                       {"models", view.models.ids},
                       {"load",
                        {{"in_flight", number_or_null(view.load.in_flight)},
                         {"queue", number_or_null(view.load.queue)},
                         {"open_connections", number_or_null(view.load.open_connections)},
                         {"rss_bytes", number_or_null(view.load.rss_bytes)},
                         {"gpu_memory_bytes", number_or_null(view.load.gpu_memory_bytes)}}},
                       {"registered", {{"agent", view.registered}, {"engine", view.engine_registered}}},
                       {"log_file", view.log_file},
                       {"log_lines_lost", view.log_lines_lost},
                       {"agent_started", iso8601(view.agent_started)},
                       {"uptime", uptime(view, now)},
                       {"version", kVersion},
                       {"timestamp", iso8601(now)}});
}

}  // namespace svc::agent
