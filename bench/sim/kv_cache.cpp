#include "bench/sim/kv_cache.hpp"

#include <algorithm>
#include <cstring>

namespace svc::sim {
namespace {

/// Of the chain up to and with this block. The multiply-and-fold of wyhash; nobody attacks a simulator.
std::uint64_t chain_hash(std::uint64_t parent, std::string_view block) {
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
  };
  std::uint64_t hash = parent ^ 0xa0761d6478bd642fULL;
  while (!block.empty()) {
    std::uint64_t word = 0;
    const std::size_t part = std::min(block.size(), sizeof word);
    std::memcpy(&word, block.data(), part);
    hash = fold(hash ^ word, 0xe7037ed1a0b428dbULL) + part;
    block.remove_prefix(part);
  }
  return fold(hash, 0x8ebc6af09c88c6e3ULL);
}

}  // namespace

void KvCache::prepare(CacheLease& lease, std::string_view prompt) const {
  lease.hashes.clear();
  lease.text.clear();
  lease.matched = lease.published = lease.own = 0;
  if (!wants_text()) return;
  std::uint64_t hash = 0;
  while (!fixed_ && prompt.size() >= block_bytes()) {
    hash = chain_hash(hash, prompt.substr(0, block_bytes()));
    lease.hashes.push_back(hash);
    prompt.remove_prefix(block_bytes());
  }
  lease.text = prompt;
}

std::size_t KvCache::match_fixed(const CacheLease& lease) const {
  const auto [end, unused] = std::mismatch(lease.text.begin(), lease.text.end(), last_.begin(), last_.end());
  return static_cast<std::size_t>(end - lease.text.begin()) / block_bytes();
}

KvCache::Fit KvCache::admit(CacheLease& lease, std::size_t prompt_tokens, std::size_t max_tokens,
                            std::size_t& cached_tokens) {
  cached_tokens = 0;
  if (!wants_text()) return Fit::yes;
  // The last token of a prompt is always computed: its result is the first token of the answer.
  const std::size_t most = prompt_tokens == 0 ? 0 : (prompt_tokens - 1) / block_tokens_;
  if (fixed_) {
    lease.matched = std::min(match_fixed(lease), most);
    cached_tokens = lease.matched * block_tokens_;
    return Fit::yes;
  }
  const std::size_t needed = (prompt_tokens + max_tokens + block_tokens_ - 1) / block_tokens_;
  if (needed > blocks_) return Fit::never;
  lease.matched = 0;
  std::size_t revived = 0;  // matched blocks that are idle now: they cannot be evicted for this request
  while (lease.matched < std::min(most, lease.hashes.size())) {
    const auto found = published_.find(lease.hashes[lease.matched]);
    if (found == published_.end()) break;
    revived += found->second.users == 0 ? 1U : 0U;
    ++lease.matched;
  }
  lease.own = needed - lease.matched;
  if (lease.own > free_ + idle_.size() - revived) {
    lease.matched = lease.own = 0;
    return Fit::later;
  }
  for (std::size_t i = 0; i < lease.matched; ++i) hold(lease.hashes[i]);
  lease.published = lease.matched;
  while (free_ < lease.own) {
    published_.erase(idle_.front());
    idle_.pop_front();
    ++free_;
  }
  free_ -= lease.own;
  cached_tokens = lease.matched * block_tokens_;
  return Fit::yes;
}

void KvCache::publish(CacheLease& lease, std::size_t blocks) {
  // A block that somebody else published in the meantime stays this request's own, and ends with it.
  while (lease.published < std::min(blocks, lease.hashes.size()) && lease.own > 0) {
    const std::uint64_t hash = lease.hashes[lease.published];
    if (published_.find(hash) != published_.end()) break;
    published_[hash].users = 1;
    --lease.own;
    ++lease.published;
  }
}

void KvCache::computed(CacheLease& lease, std::size_t tokens) {
  if (!fixed_ && blocks_ > 0) publish(lease, tokens / block_tokens_);
}

void KvCache::release(CacheLease& lease, std::string_view answer) {
  if (fixed_) {
    last_ = lease.text;
    last_.append(answer);
    return;
  }
  if (blocks_ == 0) return;
  if (lease.published == lease.hashes.size() && !answer.empty()) {
    std::uint64_t hash = lease.hashes.empty() ? 0 : lease.hashes.back();
    lease.text.append(answer);
    std::string_view rest = lease.text;
    for (; rest.size() >= block_bytes(); rest.remove_prefix(block_bytes())) {
      hash = chain_hash(hash, rest.substr(0, block_bytes()));
      lease.hashes.push_back(hash);
    }
    publish(lease, lease.hashes.size());
  }
  free_ += lease.own;
  // The end of the chain first, so that it is evicted before what it hangs on.
  for (std::size_t i = lease.published; i > 0; --i) let_go(lease.hashes[i - 1]);
  lease.own = lease.published = lease.matched = 0;
  lease.hashes.clear();
  lease.text.clear();
}

void KvCache::hold(std::uint64_t hash) {
  Block& block = published_[hash];
  if (block.users++ == 0) idle_.erase(block.idle);
}

void KvCache::let_go(std::uint64_t hash) {
  Block& block = published_[hash];
  if (--block.users == 0) block.idle = idle_.insert(idle_.end(), hash);
}

}  // namespace svc::sim
