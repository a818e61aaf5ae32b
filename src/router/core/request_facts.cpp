#include "router/core/request_facts.hpp"

#include "router/core/prompt_walk.hpp"

namespace svc::router {
namespace {

namespace od = simdjson::ondemand;
using json_walk::Field;
using json_walk::is;

/// A larger document's index (up to 4 bytes for each of its bytes) is not kept.
constexpr std::size_t kKeptCapacity = 4U << 20U;

/// Reads one document forward. Each read_* returns false when the document cannot be followed any further; what is
/// merely of another type, or a string that cannot be unescaped, ends nothing.
class Walk {
 public:
  Walk(const FactsWanted& wanted, RequestFacts& facts, PromptParts& parts)
      : looks_at_prompt_(wanted.text_bytes || wanted.prompt), facts_(facts), prompt_(wanted.prompt, parts) {}

  bool read_top(od::object top) {
    for (Field field : top) {
      if (field.error() != simdjson::SUCCESS || !read_top_field(field)) return false;
    }
    return true;
  }

  [[nodiscard]] bool unreadable() const { return unreadable_; }
  [[nodiscard]] std::uint64_t text_bytes() const { return prompt_.text_bytes(); }

 private:
  bool read_top_field(Field& field) {
    std::string_view name;
    if (field.unescaped_key().get(name) != simdjson::SUCCESS) {
      unreadable_ = true;
      return true;
    }
    od::value value;
    if (field.value().get(value) != simdjson::SUCCESS) return false;
    if (name == "model") return read_text(value, facts_.model);
    if (name == "prompt_cache_key") return read_text(value, facts_.prompt_cache_key);
    if (name == "user") return read_text(value, facts_.user);
    if (name == "stream") return read_flag(value, facts_.stream);
    return !looks_at_prompt_ || prompt_.read_field(name, value);
  }

  bool read_text(od::value value, std::string& target) {
    target.clear();
    if (!is(value, od::json_type::string)) return true;
    std::string_view text;
    const auto error = value.get_string().get(text);
    if (error == simdjson::SUCCESS) {
      target = text;
      return true;
    }
    unreadable_ = true;
    return error == simdjson::STRING_ERROR;
  }

  bool read_flag(od::value value, bool& target) {
    target = false;
    if (!is(value, od::json_type::boolean)) return true;
    bool flag = false;
    if (value.get_bool().get(flag) == simdjson::SUCCESS) {
      target = flag;
      return true;
    }
    unreadable_ = true;
    return false;
  }

  const bool looks_at_prompt_;
  RequestFacts& facts_;
  PromptWalk prompt_;
  bool unreadable_ = false;
};

}  // namespace

struct FactsReader::Parser {
  od::parser parser;
};

static_assert(FactsReader::kPadding >= simdjson::SIMDJSON_PADDING);

void RequestFacts::clear() {
  is_object = complete = stream = false;
  text_bytes = 0;
  // Keeps their memory.
  model.clear();
  prompt_cache_key.clear();
  user.clear();
}

FactsReader::FactsReader() : parser_(std::make_unique<Parser>()) {}
FactsReader::~FactsReader() = default;

FactsReader::Reading FactsReader::read(std::string_view body, const FactsWanted& wanted, RequestFacts& facts) {
  facts.clear();
  parts_.clear();
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  const std::size_t first = body.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || body[first] != '{') return {};
  facts.is_object = true;
  Reading reading(*this);

  od::document document;
  od::object top;
  if (parser_->parser.iterate(body.data(), body.size(), body.size() + kPadding).get(document) == simdjson::SUCCESS &&
      document.get_object().get(top) == simdjson::SUCCESS) {
    Walk walk(wanted, facts, parts_);
    const bool whole = walk.read_top(top);
    facts.text_bytes = walk.text_bytes();
    // Past the object nothing may follow: an engine could read that instead.
    const bool at_end = whole && document.current_location().error() == simdjson::OUT_OF_BOUNDS;
    facts.complete = at_end && !walk.unreadable();
  }
  return wanted.prompt ? std::move(reading) : Reading();
}

void FactsReader::Reading::shape_prompt(std::string_view seed, std::uint32_t block_bytes, PromptShape& shape) const {
  shape.clear();
  if (reader_ != nullptr) reader_->parts_.shape(seed, block_bytes, shape);
}

void FactsReader::release() {
  parts_.clear();
  if (parser_->parser.capacity() > kKeptCapacity) parser_ = std::make_unique<Parser>();
}

}  // namespace svc::router
