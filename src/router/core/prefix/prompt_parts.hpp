// The pieces of a request's prompt as they stand in its body, and their canonical order: tools, what the system says, then
// each message with its role, its text and what it carries besides. Views; whoever collects them says how long they are
// valid.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "router/core/prefix/prompt_shape.hpp"

namespace svc::router {

class PromptParts {
 public:
  PromptParts() = default;
  PromptParts(const PromptParts&) = delete;  // list_ is a part of it
  PromptParts& operator=(const PromptParts&) = delete;
  ~PromptParts() = default;

  /// In the order in which they are read. Of the last three the first one that is there counts, as in the engines.
  enum class Field : std::uint8_t { system, instructions, messages, input, prompt };

  void clear();
  /// What was collected of the field so far is void, and what comes now is part of it.
  void restart(Field field);

  /// Parts of the field that is being read, and what was collected as some of them, which is void.
  [[nodiscard]] std::size_t size() const { return list_->size(); }
  void erase(std::size_t begin, std::size_t end);

  void begin_message(std::string_view role = {}) { list_->push_back({Kind::message, role}); }
  void set_role(std::string_view role);
  void add_text(std::string_view text) { list_->push_back({Kind::text, text}); }
  /// Its text, however it is laid out: calls of tools, token ids.
  void add_json(std::string_view json) { list_->push_back({Kind::json, json}); }
  /// An image, a sound: whatever is no text. JSON, or without blanks.
  void add_opaque(std::string_view bytes) { list_->push_back({Kind::opaque, bytes}); }
  void set_tools(std::string_view json) { tools_ = json; }

  /// `seed`: the model.
  void shape(std::string_view seed, std::uint32_t block_bytes, PromptShape& shape);

  static constexpr std::uint32_t kOpaqueUnits =
      4096;  ///< what an image counts as, in bytes of text: about 1,000 tokens

 private:
  enum class Kind : std::uint8_t { message, text, json, opaque };
  struct Part {
    Kind kind;
    std::string_view text;  // of a message: its role
  };
  using List = std::vector<Part>;
  [[nodiscard]] List& of(Field field) { return lists_[static_cast<std::size_t>(field)]; }
  void hash(const List& list, PromptHasher& hasher);
  [[nodiscard]] std::string_view without_blanks(std::string_view json);

  std::array<List, 5> lists_;
  List* list_ = lists_.data();  // which is being collected
  std::string_view tools_;
  std::string compact_;
};

}  // namespace svc::router
