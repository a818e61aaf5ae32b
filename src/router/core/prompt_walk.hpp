// Finds the prompt in a request body that is read forward: `messages`, `prompt` and `tools` of the chat and completions
// APIs, `input` and `instructions` of the Responses API and of embeddings, `system` of Anthropic's.
#pragma once

#include <cstdint>
#include <string_view>

#include "router/core/json_walk.hpp"
#include "router/core/prefix/prompt_parts.hpp"

namespace svc::router {

class PromptWalk {
 public:
  /// `shape`: the parts are wanted, not only the size of the text.
  PromptWalk(bool shape, PromptParts& parts) : shape_(shape), parts_(parts) {}

  /// A field of the body, whether or not it has to do with the prompt. False: the document cannot be followed any further.
  bool read_field(std::string_view name, simdjson::ondemand::value& value);
  /// Of message text: string contents, or parts' text; as UTF-8, escapes resolved.
  [[nodiscard]] std::uint64_t text_bytes() const;

 private:
  using Value = simdjson::ondemand::value;
  bool read_messages(Value& value);
  bool read_message(Value& value, std::uint64_t& bytes);
  bool read_content(Value& value, std::uint64_t& bytes);
  bool read_part(Value& part, std::uint64_t& bytes, bool nested);
  bool read_system(Value& value, PromptParts::Field field, std::uint64_t& bytes);
  bool read_input(Value& value);
  bool read_prompt(Value& value);
  template <class Add>
  bool read_items(Value& value, Add add);
  bool add_text(Value& value, std::uint64_t& bytes);
  bool add_opaque(Value& value);

  const bool shape_;
  PromptParts& parts_;
  bool has_messages_ = false, has_input_ = false;
  std::uint64_t message_bytes_ = 0, input_bytes_ = 0, prompt_bytes_ = 0, system_bytes_ = 0, instruction_bytes_ = 0;
};

}  // namespace svc::router
