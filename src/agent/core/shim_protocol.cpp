#include "agent/core/shim_protocol.hpp"

#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/core/json_reader.hpp"
#include "common/core/percent_codec.hpp"

namespace svc::agent {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostInteger = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMostPid = std::numeric_limits<pid_t>::max();

std::string print(const json& message) { return message.dump(-1, ' ', false, json::error_handler_t::replace); }

// Arguments, variables and paths may hold any byte, and must arrive as they were: they travel percent-encoded.

json exact(const std::vector<std::string>& texts) {
  json list = json::array();
  for (const std::string& text : texts) list.push_back(percent_encode(text));
  return list;
}

void read_exact(JsonReader& reader, std::string_view key, std::string& target) {
  std::string encoded;
  if (!reader.text(key, encoded)) return;
  if (auto text = percent_decode(encoded)) {
    target = std::move(*text);
  } else {
    reader.fail(key, "is not percent-encoded");
  }
}

void read_exact(JsonReader& reader, std::string_view key, std::vector<std::string>& target) {
  std::vector<std::string> encoded;
  if (!reader.text_list(key, encoded)) return;
  target.clear();
  for (const std::string& item : encoded) {
    auto text = percent_decode(item);
    if (!text) return reader.fail(key, "is not percent-encoded");
    target.push_back(std::move(*text));
  }
}

void read_duration(JsonReader& reader, std::string_view key, Duration& target) {
  std::int64_t count = 0;
  if (reader.integer(key, count, 0, kMostInteger)) target = Duration(count);
}

json rank_json(const RankCommand& rank) {
  json env = json::object();
  for (const auto& [name, value] : rank.env) env[percent_encode(name)] = percent_encode(value);
  return {{"argv", exact(rank.argv)}, {"env", std::move(env)}, {"work_dir", percent_encode(rank.work_dir)}};
}

RankCommand read_rank(JsonReader& order, const json& value, std::size_t index) {
  RankCommand rank;
  JsonReader reader(value, "ranks[" + std::to_string(index) + "]");
  read_exact(reader, "argv", rank.argv);
  read_exact(reader, "work_dir", rank.work_dir);
  if (rank.argv.empty()) reader.fail("argv", "must not be empty");
  if (const json* env = reader.object("env")) {
    JsonReader variables(*env, reader.path_of("env"));
    for (const auto& [name, ignored] : env->items()) {
      auto decoded = percent_decode(name);
      if (!decoded) {
        variables.fail(name, "is not percent-encoded");
        break;
      }
      read_exact(variables, name, rank.env[*decoded]);
    }
    if (variables.error()) reader.adopt(*variables.error());
  }
  if (reader.error()) order.adopt(*reader.error());
  return rank;
}

json order_json(const LaunchOrder& order) {
  json ranks = json::array();
  for (const RankCommand& rank : order.ranks) ranks.push_back(rank_json(rank));
  return {{"order", "launch"},
          {"name", percent_encode(order.name)},
          {"ranks", std::move(ranks)},
          {"outlive_agent", order.outlive_agent},
          {"grace_ns", order.grace.count()},
          {"socket_path", percent_encode(order.socket_path)},
          {"log_file", percent_encode(order.log_file)},
          {"log_max_bytes", order.log_max_bytes},
          {"log_max_files", order.log_max_files},
          {"log_max_age_ns", order.log_max_age.count()},
          {"cgroup_parent", percent_encode(order.cgroup_parent)},
          {"fingerprint", percent_encode(order.fingerprint)}};
}
json order_json(const StopOrder& order) { return {{"order", "stop"}, {"grace_ns", order.grace.count()}}; }
json order_json(const ReopenLogOrder&) { return {{"order", "reopen_log"}}; }
json order_json(const SettlePortOrder& order) { return {{"order", "settle_port"}, {"port", order.port}}; }
json order_json(const EndWithAgentOrder&) { return {{"order", "end_with_agent"}}; }

LaunchOrder read_launch(JsonReader& reader) {
  LaunchOrder order;
  read_exact(reader, "name", order.name);
  if (const json* ranks = reader.array("ranks")) {
    for (const json& rank : *ranks) order.ranks.push_back(read_rank(reader, rank, order.ranks.size()));
  }
  if (order.ranks.empty()) reader.fail("ranks", "must not be empty");
  reader.flag("outlive_agent", order.outlive_agent);
  read_duration(reader, "grace_ns", order.grace);
  read_exact(reader, "socket_path", order.socket_path);
  read_exact(reader, "log_file", order.log_file);
  reader.integer("log_max_bytes", order.log_max_bytes, 0, kMostInteger);
  reader.integer("log_max_files", order.log_max_files, 0, std::numeric_limits<unsigned>::max());
  read_duration(reader, "log_max_age_ns", order.log_max_age);
  read_exact(reader, "cgroup_parent", order.cgroup_parent);
  read_exact(reader, "fingerprint", order.fingerprint);
  return order;
}

json report_json(const RunReport& report) {
  json message = {{"report", "run"},
                  {"shim", report.shim},
                  {"ranks", report.ranks},
                  {"fingerprint", percent_encode(report.fingerprint)},
                  {"started_at_us", report.started_at_us},
                  {"cgroup", percent_encode(report.cgroup)}};
  if (report.port) message["port"] = *report.port;
  return message;
}
json report_json(const LineReport& report) {
  json message = {{"report", "line"},
                  {"last_line", report.last_line},
                  {"lines_lost", report.lines_lost},
                  {"log_failing", report.log_failing},
                  {"log_stuck", report.log_stuck}};
  if (report.port) message["port"] = *report.port;
  return message;
}
json report_json(const ExitReport& report) {
  const ExitOutcome& outcome = report.outcome;
  return {{"report", "exit"},       {"kind", word_of(outcome.kind)},
          {"value", outcome.value}, {"core_dumped", outcome.core_dumped},
          {"rank", outcome.rank},   {"last_lines", outcome.last_lines}};
}
json report_json(const GoneReport& report) {
  return {{"report", "gone"}, {"killed", report.killed}, {"lines_lost", report.lines_lost}};
}

void read_port(JsonReader& reader, std::optional<std::uint16_t>& port) {
  std::uint16_t value = 0;
  if (reader.integer("port", value, 1, 65535)) port = value;
}

RunReport read_run(JsonReader& reader) {
  RunReport report;
  reader.integer("shim", report.shim, 0, kMostPid);
  if (const json* ranks = reader.array("ranks")) {
    for (const json& rank : *ranks) {
      const bool is_pid = rank.is_number_integer() && rank >= 0 && rank <= kMostPid;
      if (!is_pid) reader.fail("ranks", "must be a list of process ids");
      report.ranks.push_back(is_pid ? rank.get<pid_t>() : 0);
    }
  }
  read_exact(reader, "fingerprint", report.fingerprint);
  reader.integer("started_at_us", report.started_at_us, 0, kMostInteger);
  read_port(reader, report.port);
  read_exact(reader, "cgroup", report.cgroup);
  return report;
}

LineReport read_line(JsonReader& reader) {
  LineReport report;
  read_port(reader, report.port);
  reader.text("last_line", report.last_line, {.controls = true});
  reader.integer("lines_lost", report.lines_lost, 0, kMostInteger);
  reader.flag("log_failing", report.log_failing);
  reader.flag("log_stuck", report.log_stuck);
  return report;
}

ExitReport read_exit(JsonReader& reader) {
  static constexpr std::array kExitKinds = {ExitKind::exited,       ExitKind::signalled,     ExitKind::out_of_memory,
                                            ExitKind::start_failed, ExitKind::start_timeout, ExitKind::hung,
                                            ExitKind::stopped,      ExitKind::lost};
  ExitReport report;
  std::string word;
  reader.text("kind", word);
  bool known = false;
  for (const ExitKind kind : kExitKinds) {
    if (word_of(kind) != word) continue;
    report.outcome.kind = kind;
    known = true;
  }
  if (!known) reader.fail("kind", "is not a kind of exit");
  reader.integer("value", report.outcome.value, std::numeric_limits<int>::min(), std::numeric_limits<int>::max());
  reader.flag("core_dumped", report.outcome.core_dumped);
  reader.integer("rank", report.outcome.rank, 0, std::numeric_limits<int>::max());
  reader.text_list("last_lines", report.outcome.last_lines, {.controls = true});
  return report;
}

GoneReport read_gone(JsonReader& reader) {
  GoneReport report;
  reader.integer("killed", report.killed, 0, kMostInteger);
  reader.integer("lines_lost", report.lines_lost, 0, kMostInteger);
  return report;
}

ShimOrder read_order(JsonReader& reader) {
  std::string kind;
  reader.text("order", kind);
  if (kind == "launch") return read_launch(reader);
  if (kind == "stop") {
    StopOrder order;
    read_duration(reader, "grace_ns", order.grace);
    return order;
  }
  if (kind == "settle_port") {
    SettlePortOrder order;
    if (!reader.integer("port", order.port, 1, 65535)) reader.fail("port", "is missing");
    return order;
  }
  if (kind == "end_with_agent") return EndWithAgentOrder{};
  if (kind != "reopen_log") reader.fail("order", "is none that a shim knows");
  return ReopenLogOrder{};
}

ShimReport read_report(JsonReader& reader) {
  std::string kind;
  reader.text("report", kind);
  if (kind == "run") return read_run(reader);
  if (kind == "line") return read_line(reader);
  if (kind == "exit") return read_exit(reader);
  if (kind != "gone") reader.fail("report", "is none that an agent knows");
  return read_gone(reader);
}

template <class Message, class Read>
Result<Message> decode(std::string_view text, const char* what, Read read) {
  const auto parsed = parse_json(text);
  if (parsed.has_error()) return wrap(std::string("not a message of ") + what, parsed.error());
  JsonReader reader(*parsed, "");
  Message message = read(reader);
  if (reader.error()) return wrap(std::string("not a message of ") + what, *reader.error());
  return message;
}

}  // namespace

std::string encode(const ShimOrder& order) {
  return print(std::visit([](const auto& kind) { return order_json(kind); }, order));
}

std::string encode(const ShimReport& report) {
  return print(std::visit([](const auto& kind) { return report_json(kind); }, report));
}

Result<ShimOrder> decode_order(std::string_view message) { return decode<ShimOrder>(message, "an agent", read_order); }

Result<ShimReport> decode_report(std::string_view message) {
  return decode<ShimReport>(message, "a shim", read_report);
}

}  // namespace svc::agent
