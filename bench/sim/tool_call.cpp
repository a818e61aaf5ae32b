#include "bench/sim/tool_call.hpp"

namespace svc::sim {
namespace {

/// Of an element of `tool_calls`, from its `id` to where the text begins.
std::string call_up_to_text(std::uint64_t number, std::string_view name) {
  std::string out = "\"id\":\"call_" + std::to_string(number) + R"(","type":"function","function":{"name":")";
  return out.append(name).append(R"(","arguments":"{\"text\":\")");
}

}  // namespace

std::string tool_message(std::uint64_t number, std::string_view name, std::string_view text) {
  std::string out = R"("message":{"role":"assistant","content":null,"tool_calls":[{)" + call_up_to_text(number, name);
  return out.append(text).append(kToolArgumentsEnd).append(R"("}}]})");
}

std::string tool_delta_begin(std::uint64_t number, std::string_view name) {
  return R"("delta":{"tool_calls":[{"index":0,)" + call_up_to_text(number, name).append(kToolDeltaTail);
}

}  // namespace svc::sim
