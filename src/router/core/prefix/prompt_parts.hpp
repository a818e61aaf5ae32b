// The pieces of a request's prompt as they stand in its body, and their canonical order: tools, then each message with its
// role, its text and what it carries besides. Views; whoever collects them says how long they are valid.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "router/core/prefix/prompt_shape.hpp"

namespace svc::router {

class PromptParts {
 public:
  void clear();
  /// What was collected of `messages` so far is void: the field came twice.
  void restart_messages() { messages_.clear(); }
  void restart_prompt() { prompt_.clear(); }

  void begin_message() { messages_.push_back({Kind::message, {}}); }
  void set_role(std::string_view role);
  void add_text(std::string_view text) { messages_.push_back({Kind::text, text}); }
  /// An image, a sound: whatever is no text.
  void add_opaque(std::string_view bytes) { messages_.push_back({Kind::opaque, bytes}); }
  /// Of the older completions API: text, or the JSON of token ids.
  void add_prompt(std::string_view text) { prompt_.push_back(text); }
  void set_tools(std::string_view json) { tools_ = json; }

  /// Messages go before a prompt, as in the engines. `seed`: the model.
  void shape(std::string_view seed, std::uint32_t block_bytes, PromptShape& shape) const;

  static constexpr std::uint32_t kOpaqueUnits =
      4096;  ///< what an image counts as, in bytes of text: about 1,000 tokens

 private:
  enum class Kind : std::uint8_t { message, text, opaque };
  struct Part {
    Kind kind;
    std::string_view text;  // of a message: its role
  };
  std::vector<Part> messages_;
  std::vector<std::string_view> prompt_;
  std::string_view tools_;
};

}  // namespace svc::router
