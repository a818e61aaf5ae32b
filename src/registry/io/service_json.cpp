#include "registry/io/service_json.hpp"

#include <array>
#include <unordered_map>

#include "common/core/json_text.hpp"
#include "common/core/time_text.hpp"

namespace svc::registry {
namespace {

constexpr std::size_t kBytesPerService = 800;  // a first guess that spares the growing

void append_lease(std::string& out, const AnswerContext& context, const ServiceEntry& entry) {
  out += R"(,"lease":{"expires_in":)";
  append_seconds(out, context.state.lease_remaining(entry, context.now));
  out += R"(,"heartbeat_timeout":)";
  append_seconds(out, entry.lease.terms.alive_for);
  out += R"(,"remove_after":)";
  append_seconds(out, entry.lease.terms.remove_after);
  out += '}';
}

}  // namespace

void append_epoch_seconds(std::string& out, WallTime time) {
  const auto micros = time.time_since_epoch().count();
  append_json_int(out, micros / 1'000'000);
  std::array<char, 7> fraction{};
  fraction[0] = '.';
  auto rest = micros % 1'000'000;
  for (std::size_t i = fraction.size() - 1; i > 0; --i, rest /= 10) {
    fraction[i] = static_cast<char>('0' + rest % 10);
  }
  out.append(fraction.data(), fraction.size());
}

void append_seconds(std::string& out, Duration duration) {
  append_json_double(out,
                     std::chrono::duration<double>(std::chrono::floor<std::chrono::milliseconds>(duration)).count());
}

void append_context(std::string& out, const AnswerContext& context) {
  out += R"(,"timestamp":")";
  out += iso8601(context.wall_now);
  out += R"(","revision":)";
  append_json_int(out, context.state.revision());
  out += R"(,"epoch":)";
  append_json_string(out, context.epoch);
  if (context.warming) {
    out += R"(,"warming":true)";
  }
}

void append_service(std::string& out, const ServiceEntry& entry, bool healthy) {
  out += entry.static_json;
  out += R"(,"generation":)";
  append_json_int(out, entry.stored.generation);
  out += R"(,"last_heartbeat":)";
  append_epoch_seconds(out, entry.last_heartbeat);
  out += R"(,"health_status":")";
  out += to_string(entry.health.status());
  out += R"(","is_healthy":)";
  append_json_bool(out, healthy);
  out += R"(,"revision":)";
  append_json_int(out, entry.revision);
  out += '}';
}

std::string list_json(const AnswerContext& context, const ServiceFilter& filter, bool resync, std::string out) {
  out.clear();
  if (filter == ServiceFilter{}) {
    out.reserve(256 + context.state.size() * kBytesPerService);
  }
  out += R"({"services":[)";
  std::size_t total = 0;
  context.state.for_each(filter, context.now, [&out, &total](const ServiceEntry& entry, bool healthy) {
    if (total++ > 0) {
      out += ',';
    }
    append_service(out, entry, healthy);
  });
  out += R"(],"total":)";
  append_json_int(out, total);
  append_context(out, context);
  if (resync) {
    out += R"(,"resync":true)";
  }
  out += '}';
  return out;
}

std::string changes_json(const AnswerContext& context, const std::vector<const Event*>& events) {
  std::unordered_map<std::string_view, const Event*> last;
  for (const Event* event : events) {
    last[event->name] = event;
  }
  std::string out = R"({"changes":[)";
  for (const Event* event : events) {
    if (event != events.front()) {
      out += ',';
    }
    out += R"({"revision":)";
    append_json_int(out, event->revision);
    out += R"(,"event":")";
    out += to_string(event->kind);
    out += R"(","name":)";
    append_json_string(out, event->name);
    if (last.at(event->name) == event) {
      out += R"(,"service":)";
      if (const auto* entry = context.state.find(event->name)) {
        append_service(out, *entry, context.state.is_healthy(*entry, context.now));
      } else {
        out += "null";
      }
    }
    out += '}';
  }
  out += R"(],"total_changes":)";
  append_json_int(out, events.size());
  append_context(out, context);
  out += R"(,"resync":false})";
  return out;
}

std::string service_json(const AnswerContext& context, const ServiceEntry& entry) {
  std::string out;
  append_service(out, entry, context.state.is_healthy(entry, context.now));
  out.pop_back();
  append_lease(out, context, entry);
  out += R"(,"probe":{"consecutive_failures":)";
  append_json_int(out, entry.health.consecutive_failures());
  out += R"(,"consecutive_successes":)";
  append_json_int(out, entry.health.consecutive_successes());
  out += "}}";
  return out;
}

std::string service_message_json(const AnswerContext& context, std::string_view message, const ServiceEntry& entry) {
  std::string out = R"({"message":)";
  append_json_string(out, message);
  out += R"(,"service":)";
  append_service(out, entry, context.state.is_healthy(entry, context.now));
  out += R"(,"revision":)";
  append_json_int(out, context.state.revision());
  append_lease(out, context, entry);
  out += '}';
  return out;
}

}  // namespace svc::registry
