#include "router/core/prefix/prompt_shape.hpp"

#include <algorithm>
#include <array>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace svc::router {
namespace {

constexpr std::uint64_t kUnitsLimit = 0xFFFF'FFFFULL;  // PromptBlock::end has 32 bits
constexpr std::size_t kSampleBytes = 4096;             // of each part, for the share of punctuation

constexpr std::array<std::uint8_t, 256> make_marks() {
  std::array<std::uint8_t, 256> marks{};
  for (const char c : std::string_view("{}()[]<>;=_/\\*&|#@$^~`+\t")) marks[static_cast<unsigned char>(c)] = 1;
  return marks;
}
constexpr std::array<std::uint8_t, 256> kMarks = make_marks();

std::uint64_t chained(std::uint64_t chain, std::string_view text) {
  return XXH3_64bits_withSeed(text.data(), text.size(), chain);
}

}  // namespace

void PromptHasher::begin(std::string_view seed, std::uint32_t block_bytes, PromptShape& shape) {
  shape.clear();
  shape_ = &shape;
  block_bytes_ = std::max<std::uint32_t>(block_bytes, 16);
  chain_ = chained(0, seed);
  units_ = open_units_ = 0;
  open_ = false;
}

void PromptHasher::begin_message(std::string_view kind, bool is_answer) {
  chain_ = chained(chain_ + 1, kind);
  first_block_ = shape_->blocks.size();
  is_answer_ = is_answer;
}

void PromptHasher::measure(std::string_view text) {
  // Written so that the compiler makes vector code of it.
  std::uint64_t other = 0;
  for (const char c : text) other += static_cast<unsigned char>(c) >> 7U;
  shape_->other += other;
  const std::string_view sample = text.substr(0, kSampleBytes);
  std::uint64_t marks = 0;
  for (const char c : sample) marks += kMarks[static_cast<unsigned char>(c)];
  shape_->marks += marks;
  shape_->sampled += sample.size();
}

void PromptHasher::add_text(std::string_view text) {
  measure(text);
  // A part never shares a block with the next one, but for what is left of it: cheap, and the same for equal prompts.
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, block_bytes_ - open_units_);
    chain_ = chained(chain_, piece);
    open_ = true;
    units_ += piece.size();
    open_units_ += piece.size();
    text.remove_prefix(piece.size());
    if (open_units_ >= block_bytes_) close_block();
  }
}

void PromptHasher::add_opaque(std::string_view bytes, std::uint32_t units) {
  chain_ = chained(chain_ + 2, bytes);
  units_ += units;
  open_ = true;
  close_block();
}

void PromptHasher::close_block() {
  open_ = false;
  open_units_ = 0;
  if (shape_->blocks.size() >= kMaxBlocks || units_ > kUnitsLimit) return;
  shape_->blocks.push_back({chain_ | 1U, static_cast<std::uint32_t>(units_), 0});
}

void PromptHasher::end_message() {
  if (open_) close_block();
  if (is_answer_ && first_block_ < shape_->blocks.size()) {
    shape_->blocks[first_block_].answer_blocks = static_cast<std::uint32_t>(shape_->blocks.size() - first_block_);
  }
  is_answer_ = false;
}

void PromptHasher::end() {
  if (open_) close_block();
  shape_->units = units_;
  shape_->end_hash = units_ == 0 ? 0 : chain_ | 1U;
}

}  // namespace svc::router
