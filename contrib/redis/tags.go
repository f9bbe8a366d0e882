package redoubtredis

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Cache with Tags has 32 partitions, each with the keys of a slot. A
// partition has a hash, which contains a random epoch, a clock, and for each
// tag that was deleted the clock after that deletion. Tags share 1024 fields,
// so the hash is bounded.
//
// A lease contains the epoch and the clock at which it was given. A value
// contains the same numbers as its lease. It is valid if its epoch is the
// present epoch, and none of its tags was deleted after its clock. So a
// deletion changes no value, and loads that began before it do not store their
// values. If the hash is lost, a new epoch begins, and no value from before is
// valid.
const (
	partitions = 32
	tagFields  = 1 << 10
	maxTags    = 64  // of a value
	maxHeader  = 512 // bytes before a value: epoch, clock and tags
)

// getTaggedScript is getScript for a key and the hash of its partition. The
// last argument is a new epoch, if there is none.
const getTaggedScript = `
local size = redis.call('STRLEN', KEYS[1])
if size > tonumber(ARGV[3]) then return {'', 0} end
local epoch, clock = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'clock'))
if size > 0 then
  local text = redis.call('GET', KEYS[1])
  local mark, then_epoch, then_clock, slots, first = string.match(text, '^(.)(%w+) (%d+) ([%d ]*)\n()')
  local valid = text == 'A' or then_epoch == epoch
  if mark == 'V' then
    for slot in string.gmatch(slots, '%d+') do
      local deleted = valid and redis.call('HGET', KEYS[2], slot)
      if deleted and tonumber(deleted) > tonumber(then_clock) then valid = false end
    end
    if valid then return {'V' .. string.sub(text, first), redis.call('PTTL', KEYS[1])} end
  elseif valid then
    return {text, redis.call('PTTL', KEYS[1])}
  end
end
if not epoch then
  epoch, clock = ARGV[4], '0'
  if type(redis.pcall('HSET', KEYS[2], 'epoch', epoch, 'clock', clock)) ~= 'number' then return {'', 0} end
end
local lease = 'L' .. epoch .. ' ' .. clock .. ' \n' .. ARGV[1]
local r = redis.pcall('SET', KEYS[1], lease, 'PX', ARGV[2])
if r.err then return {'', 0} end
return {lease, 0}
`

// setTaggedScript is setScript for a key and the hash of its partition. The
// last arguments are the fields of the tags and a new epoch, if there is none.
// If a tag was deleted after the lease was given, the lease ends.
const setTaggedScript = `
local epoch, clock = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'clock'))
if ARGV[1] ~= '' then
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
  local given
  given, clock = string.match(ARGV[1], '^L(%w+) (%d+)')
  local valid = given == epoch
  for slot in string.gmatch(ARGV[6], '%d+') do
    local deleted = valid and redis.call('HGET', KEYS[2], slot)
    if deleted and tonumber(deleted) > tonumber(clock) then valid = false end
  end
  if not valid then
    redis.call('DEL', KEYS[1])
    return 0
  end
elseif not epoch then
  epoch, clock = ARGV[7], '0'
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'clock', clock)
end
local text = ARGV[2]
if string.sub(text, 1, 1) == 'V' then
  text = 'V' .. epoch .. ' ' .. clock .. ' ' .. ARGV[6] .. '\n' .. string.sub(text, 2)
end
if ARGV[3] == '0' then
  redis.call('SET', KEYS[1], text)
else
  redis.call('SET', KEYS[1], text, 'PX', ARGV[3])
end
if ARGV[1] == '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return 1
`

// deleteTagsScript deletes the values with any of some tags in a partition. The
// arguments are a new epoch, and the fields of the tags. On a server that is
// full, it deletes all values of the partition, which needs no memory.
const deleteTagsScript = `
local r = redis.pcall('HINCRBY', KEYS[1], 'clock', 1)
if type(r) == 'number' then
  redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1])
  for i = 2, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], r) end
else
  redis.call('DEL', KEYS[1])
end
return 1
`

var getsTagged, setsTagged, deletesTags = newScript(getTaggedScript), newScript(setTaggedScript), newScript(deleteTagsScript)

// DeleteTags removes all values that have any of tags. Loads in progress, also
// in other processes, do not store such a value. Records of absent keys have no
// tags. A small share of the other values, 1/1024 for each tag, is removed too.
//
// DeleteTags takes two round trips per server. The first levels of other
// processes, which [Forget] is used for, forget all keys. Clear the first level
// of this process, unless it uses goredisclient.Listen.
//
// Errors: see [Cache.Get]. Then call DeleteTags again, because some of the
// values may remain.
func (c *Cache[V]) DeleteTags(ctx context.Context, tags ...string) error {
	if c.cfg.Tags == nil {
		return c.fail(errors.New("tags without CacheConfig.Tags"))
	}
	if len(tags) == 0 {
		return nil
	}
	args := append([]string{rand.Text()}, tagFieldsOf(tags)...)
	names, cmds := make([]string, partitions), make([][]string, partitions)
	for i := range names {
		names[i] = c.partition(i)
		cmds[i] = deletesTags.call(args, names[i])
	}
	_, err := c.do(ctx, names, cmds)
	channel := TagChannel(c.cfg.Name)
	_, silent := c.do(ctx, []string{channel}, [][]string{{"PUBLISH", channel, ""}})
	return cmp.Or(err, silent)
}

// TagChannel returns the channel on which a [Cache] with a name publishes a
// message after each deletion of tags.
func TagChannel(name string) string { return name + "#" }

// partition returns the name of the hash of a partition.
func (c *Cache[V]) partition(i int) string { return fmt.Sprintf("%s#{%02d}", c.cfg.Name, i) }

// names returns the names on the server of a key and, with tags, of the hash of
// its partition.
func (c *Cache[V]) names(key string) []string {
	if c.cfg.Tags == nil {
		return []string{c.cfg.Name + "/" + key}
	}
	sum := sha256.Sum256([]byte(key))
	partition := c.partition(int(sum[0]) % partitions)
	return []string{partition + "/" + key, partition}
}

// tagFieldsOf returns the fields of tags.
func tagFieldsOf(tags []string) []string {
	fields := make([]string, len(tags))
	for i, tag := range tags {
		sum := sha256.Sum256([]byte(tag))
		fields[i] = strconv.Itoa(int(binary.BigEndian.Uint16(sum[:]) % tagFields))
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// fieldsOf returns the fields of the tags of a value, for setTaggedScript.
func (c *Cache[V]) fieldsOf(key string, v V) (string, error) {
	tags := c.cfg.Tags(key, v)
	if len(tags) > maxTags {
		return "", c.fail(fmt.Errorf("value with %d tags, want at most %d", len(tags), maxTags))
	}
	return strings.Join(tagFieldsOf(tags), " "), nil
}
