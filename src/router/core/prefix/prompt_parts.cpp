#include "router/core/prefix/prompt_parts.hpp"

namespace svc::router {

void PromptParts::clear() {
  messages_.clear();
  prompt_.clear();
  tools_ = {};
}

void PromptParts::set_role(std::string_view role) {
  for (auto part = messages_.rbegin(); part != messages_.rend(); ++part) {
    if (part->kind != Kind::message) continue;
    part->text = role;
    return;
  }
}

void PromptParts::shape(std::string_view seed, std::uint32_t block_bytes, PromptShape& shape) const {
  PromptHasher hasher;
  hasher.begin(seed, block_bytes, shape);
  if (!tools_.empty()) {
    hasher.begin_message("tools", false);
    hasher.add_text(tools_);
    hasher.end_message();
  }
  bool open = false;
  for (const auto& part : messages_) {
    switch (part.kind) {
      case Kind::message:
        if (open) hasher.end_message();
        open = true;
        hasher.begin_message(part.text, part.text == "assistant");
        break;
      case Kind::text: hasher.add_text(part.text); break;
      case Kind::opaque: hasher.add_opaque(part.text, kOpaqueUnits); break;
    }
  }
  if (open) hasher.end_message();
  if (messages_.empty() && !prompt_.empty()) {
    hasher.begin_message("prompt", false);
    for (const auto text : prompt_) hasher.add_text(text);
    hasher.end_message();
  }
  hasher.end();
}

}  // namespace svc::router
