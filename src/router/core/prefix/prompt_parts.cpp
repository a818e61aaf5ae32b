#include "router/core/prefix/prompt_parts.hpp"

#include <simdjson.h>

#include <algorithm>

namespace svc::router {
namespace {

constexpr std::size_t kKeptBytes = 1U << 20U;  // of compact_, from request to request
constexpr std::size_t kBeyond = 128;           // that minify may write behind its output

}  // namespace

void PromptParts::clear() {
  for (auto& list : lists_) list.clear();
  tools_ = {};
  if (compact_.size() > kKeptBytes) std::string().swap(compact_);
}

void PromptParts::restart(Field field) {
  list_ = &of(field);
  list_->clear();
}

void PromptParts::erase(std::size_t begin, std::size_t end) {
  const auto first = list_->begin();
  list_->erase(first + static_cast<std::ptrdiff_t>(begin), first + static_cast<std::ptrdiff_t>(end));
}

void PromptParts::set_role(std::string_view role) {
  for (auto part = list_->rbegin(); part != list_->rend(); ++part) {
    if (part->kind != Kind::message) continue;
    part->text = role;
    return;
  }
}

/// Clients write JSON with and without blanks, and one prompt may come from several of them.
std::string_view PromptParts::without_blanks(std::string_view json) {
  if (compact_.size() < json.size() + kBeyond) compact_.resize(json.size() + kBeyond);
  std::size_t length = 0;
  if (simdjson::minify(json.data(), json.size(), compact_.data(), length) != simdjson::SUCCESS) return json;
  return std::string_view(compact_).substr(0, length);
}

void PromptParts::hash(const List& list, PromptHasher& hasher) {
  bool open = false;
  for (const auto& part : list) {
    switch (part.kind) {
      case Kind::message:
        if (open) hasher.end_message();
        open = true;
        hasher.begin_message(part.text, part.text == "assistant");
        break;
      case Kind::text: hasher.add_text(part.text); break;
      case Kind::json: hasher.add_text(without_blanks(part.text)); break;
      case Kind::opaque: hasher.add_opaque(without_blanks(part.text), kOpaqueUnits); break;
    }
  }
  if (open) hasher.end_message();
}

void PromptParts::shape(std::string_view seed, std::uint32_t block_bytes, PromptShape& shape) {
  PromptHasher hasher;
  hasher.begin(seed, block_bytes, shape);
  if (!tools_.empty()) {
    hasher.begin_message("tools", false);
    hasher.add_text(without_blanks(tools_));
    hasher.end_message();
  }
  hash(of(Field::system), hasher);
  hash(of(Field::instructions), hasher);
  for (const auto field : {Field::messages, Field::input, Field::prompt}) {
    if (of(field).empty()) continue;
    hash(of(field), hasher);
    break;
  }
  hasher.end();
}

}  // namespace svc::router
