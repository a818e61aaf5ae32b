// The answer to a request that forces a function call. The arguments are {"text": what the content would have been}.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace svc::sim {

/// The member `message` of a plain answer. `name` as written in the request (escapes kept), `text` as in JSON.
std::string tool_message(std::uint64_t number, std::string_view name, std::string_view text);

/// The member `delta` of a stream's first event; then come events with a piece of the text between head and tail, and
/// one with the end of the arguments.
std::string tool_delta_begin(std::uint64_t number, std::string_view name);
inline constexpr std::string_view kToolDeltaHead = R"("delta":{"tool_calls":[{"index":0,"function":{"arguments":")";
inline constexpr std::string_view kToolDeltaTail = R"("}}]})";
inline constexpr std::string_view kToolArgumentsEnd = R"(\"})";

}  // namespace svc::sim
