#include "ctl/core/status_text.hpp"

#include <cmath>
#include <cstdio>

#include "common/core/endpoint.hpp"
#include "ctl/core/text_table.hpp"

namespace svc::ctl {
namespace {

using Align = TextTable::Align;

std::string mark(bool ok) { return ok ? "✓" : "✗"; }

template <class Int>
std::string number_text(const std::optional<Int>& value) {
  return value ? std::to_string(*value) : "-";
}

std::string port_text(const DaemonRow& row) { return row.address.empty() ? std::to_string(row.port) : row.address; }

std::string models_text(const std::vector<std::string>& models) {
  if (models.empty()) return "-";
  return models.size() == 1 ? models.front() : models.front() + " +" + std::to_string(models.size() - 1);
}

std::string engine_text(const ServiceRow& row) {
  if (row.host.empty()) return row.port == 0 ? "-" : ":" + std::to_string(row.port);
  return row.port == 0 ? row.host : Endpoint{row.host, row.port}.to_string();
}

std::string daemons_text(const FleetStatus& fleet) {
  TextTable table;
  table.column("DAEMON");
  table.column("PID", Align::right);
  table.column("PORT", Align::right);
  table.column("UPTIME", Align::right);
  table.column("HEALTH");
  for (const DaemonRow& row : fleet.daemons) {
    table.row({mark(row.ok) + " " + row.name, row.address.empty() ? number_text(row.pid) : "elsewhere", port_text(row),
               uptime_text(row.uptime_seconds), row.health});
  }
  return table.text();
}

std::string services_text(const FleetStatus& fleet) {
  TextTable table;
  for (const char* title : {"SERVICE", "ENGINE", "STATE", "ROUTER", "MODEL"}) table.column(title);
  for (const char* title : {"WEIGHT", "IN-FLIGHT", "REQUESTS", "ERRORS", "TTFT P50", "TTFT P95", "RESTARTS"}) {
    table.column(title, Align::right);
  }
  for (const ServiceRow& row : fleet.services) {
    table.row({mark(row.ok) + " " + row.name, engine_text(row), row.state, row.routing.empty() ? "-" : row.routing,
               models_text(row.models), number_text(row.weight) + (row.backup ? " backup" : ""),
               number_text(row.in_flight), number_text(row.requests), number_text(row.errors),
               latency_text(row.ttft_p50_seconds), latency_text(row.ttft_p95_seconds), number_text(row.restarts)});
  }
  return table.text();
}

std::string verdict_text(const FleetStatus& fleet) {
  if (fleet.ok()) return "All is well.\n";
  std::string out = "Not well:\n";
  for (const std::string& problem : fleet.problems) out += "  " + printable(problem) + "\n";
  return out;
}

std::string two_units(std::int64_t large, const char* large_unit, std::int64_t small, const char* small_unit) {
  return std::to_string(large) + large_unit + " " + std::to_string(small) + small_unit;
}

}  // namespace

std::string uptime_text(const std::optional<double>& seconds) {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  if (!seconds || !std::isfinite(*seconds) || *seconds < 0) return "-";
  const auto whole = static_cast<std::int64_t>(*seconds);
  if (whole < kMinute) return std::to_string(whole) + "s";
  if (whole < kHour) return two_units(whole / kMinute, "m", whole % kMinute, "s");
  if (whole < kDay) return two_units(whole / kHour, "h", whole % kHour / kMinute, "m");
  return two_units(whole / kDay, "d", whole % kDay / kHour, "h");
}

std::string latency_text(const std::optional<double>& seconds) {
  if (!seconds || !std::isfinite(*seconds)) return "-";
  if (*seconds < 0.001) return "<1 ms";
  char buffer[32];
  if (*seconds < 1) {
    std::snprintf(buffer, sizeof buffer, "%.0f ms", *seconds * 1000);
  } else {
    std::snprintf(buffer, sizeof buffer, "%.1f s", *seconds);
  }
  return buffer;
}

std::string status_text(const FleetStatus& fleet) {
  std::string out = daemons_text(fleet);
  if (!out.empty()) out += "\n";
  const std::string services = services_text(fleet);
  out += services.empty() ? "No services.\n" : services;
  return out + "\n" + verdict_text(fleet);
}

}  // namespace svc::ctl
