// What of a chat request's body the engine looks at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace svc::sim {

struct ChatRequest {
  bool stream = false;
  bool include_usage = false;  ///< stream_options.include_usage
  bool has_message = false;    ///< `messages` with one in it, or `prompt`
  bool plain = true;           ///< only system, user and assistant messages with a string for content
  std::optional<std::uint32_t> max_tokens;
  std::optional<std::uint32_t> max_completion_tokens;
  /// `sim_cancel_after`: the client says that it hangs up after so many events; what comes after them is counted.
  std::uint32_t cancel_after = 0;
  std::string_view model;               ///< as written in the body; a view of it
  std::vector<std::string_view> tools;  ///< the names of the functions in `tools`; views too
  bool tool_required = false;           ///< `tool_choice` is "required"
  std::string_view tool_choice;         ///< the function that `tool_choice` names; a view too
  /// The messages one after another with their roles, as a chat template renders them: equal beginnings of two
  /// conversations are equal beginnings of this. Strings as written in the JSON.
  std::string prompt;
  std::size_t prompt_bytes = 0;  ///< its length, also when it is not kept
};

/// False: no JSON object. `keep_prompt`: fill in `prompt`. `out` may have been used before.
bool parse_chat(std::string_view body, bool keep_prompt, ChatRequest& out);

/// The function that an answer has to call; empty: none. nullopt: one is forced that is not among the tools.
std::optional<std::string_view> forced_tool(const ChatRequest& request);

}  // namespace svc::sim
