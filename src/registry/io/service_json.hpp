// The registry's answers as text. Lists are written record by record into one string: ten thousand services are a few
// megabytes, and a DOM of them would cost more than everything else in the request.
#pragma once

#include <string>

#include "registry/core/registry_state.hpp"

namespace svc::registry {

/// What every answer about the fleet says beside its content.
struct AnswerContext {
  const RegistryState& state;
  std::string_view epoch;  ///< identifies this boot
  TimePoint now;
  WallTime wall_now;
  bool warming = false;
};

void append_service(std::string& out, const ServiceEntry& entry, bool healthy);

/// {"services":[..],"total":n,"timestamp":..,"revision":..,"epoch":..}; `resync` adds "resync":true.
/// Written into `out`, whose room is used and whose text is not.
std::string list_json(const AnswerContext& context, const ServiceFilter& filter, bool resync = false,
                      std::string out = {});

/// {"changes":[..],"total_changes":n,"timestamp":..,"revision":..,"epoch":..,"resync":false}
std::string changes_json(const AnswerContext& context, const std::vector<const Event*>& events);

/// One service with its lease and probe counters.
std::string service_json(const AnswerContext& context, const ServiceEntry& entry);
/// {"message":..,"service":{..},"revision":..,"lease":{..}}
std::string service_message_json(const AnswerContext& context, std::string_view message, const ServiceEntry& entry);

/// ,"timestamp":"..","revision":N,"epoch":".." and, while warming, ,"warming":true
void append_context(std::string& out, const AnswerContext& context);
void append_epoch_seconds(std::string& out, WallTime time);
void append_seconds(std::string& out, Duration duration);

}  // namespace svc::registry
