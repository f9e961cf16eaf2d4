-- KEYS  marker of the index, index entry, settings, marker of the partition
-- ARGV  catalogue revision of the settings that the caller has, name of a record up to its id
local got=redis.call('MGET',KEYS[1],KEYS[2],KEYS[4])
local out={'ok',clock(),got[1],got[3],false,got[2]}
if got[1] and string.sub(got[1],7,22)~=ARGV[1] then out[5]=redis.call('GET',KEYS[3]) end
if got[2] then
  -- These names are no KEYS: only the entry tells them. They are on this node, because index and partition are one each.
  local names={}
  for i,id in ipairs(cjson.decode(string.sub(got[2],17)).records) do names[i]=ARGV[2]..id end
  if #names>0 then
    for i,record in ipairs(redis.call('MGET',unpack(names))) do out[6+i]=record end
  end
end
return out
