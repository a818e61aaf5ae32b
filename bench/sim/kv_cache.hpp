// The KV cache of one engine, as memory and as prefix cache: admission, reuse and eviction.
// Token counts are bytes of text / 4. Paged: blocks of block_size tokens, named by a chain of hashes, so that a block
// can be reused only together with all before it; published once computed; unreferenced ones are evicted in LRU order.
// Static: one request at a time and the text of the last one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace svc::sim {

inline constexpr std::size_t kBytesPerToken = 4;

/// What one request holds of the cache. Belongs to the request; empty unless the cache gave it something.
struct CacheLease {
  std::vector<std::uint64_t> hashes;  ///< of the full blocks of the prompt
  std::string text;                   ///< paged: the prompt's rest after the full blocks; static: all of it
  std::size_t matched = 0;            ///< blocks that were there already
  std::size_t published = 0;          ///< first blocks of `hashes` that this request holds a reference to
  std::size_t own = 0;                ///< blocks that nobody else sees
};

class KvCache {
 public:
  /// 0 blocks: memory without end, and no prefix cache.
  static KvCache paged(std::size_t blocks, std::size_t block_tokens) { return {blocks, block_tokens, false}; }
  static KvCache fixed() { return {0, 16, true}; }

  /// Does it need the prompt's text?
  [[nodiscard]] bool wants_text() const { return fixed_ || blocks_ > 0; }
  /// Notes what the request asks for. Nothing is held yet.
  void prepare(CacheLease& lease, std::string_view prompt) const;

  enum class Fit { yes, later, never };
  /// Takes memory for the prompt and max_tokens more. yes: `cached_tokens` of the prompt need no prefill.
  Fit admit(CacheLease& lease, std::size_t prompt_tokens, std::size_t max_tokens, std::size_t& cached_tokens);
  /// The prompt has been computed, or its first `tokens` have: others can reuse them.
  void computed(CacheLease& lease, std::size_t tokens = SIZE_MAX);
  /// The request is over, `answer` is what it generated ("" if it did not get to the end).
  void release(CacheLease& lease, std::string_view answer);

  [[nodiscard]] std::size_t total_blocks() const { return blocks_; }
  [[nodiscard]] std::size_t free_blocks() const { return free_; }
  /// Published and in nobody's use.
  [[nodiscard]] std::size_t idle_blocks() const { return idle_.size(); }

 private:
  KvCache(std::size_t blocks, std::size_t block_tokens, bool fixed)
      : blocks_(blocks), block_tokens_(block_tokens), fixed_(fixed), free_(blocks) {}

  struct Block {
    std::size_t users = 0;
    std::list<std::uint64_t>::iterator idle;  ///< when users is 0
  };
  [[nodiscard]] std::size_t block_bytes() const { return block_tokens_ * kBytesPerToken; }
  void hold(std::uint64_t hash);
  void let_go(std::uint64_t hash);
  void publish(CacheLease& lease, std::size_t blocks);
  std::size_t match_fixed(const CacheLease& lease) const;

  std::size_t blocks_;
  std::size_t block_tokens_;
  bool fixed_;
  std::size_t free_;
  std::unordered_map<std::uint64_t, Block> published_;
  std::list<std::uint64_t> idle_;  ///< the longest idle first
  std::string last_;               ///< static: prompt and answer of the last request
};

}  // namespace svc::sim
