package sim
import ("testing";"time")
func TestZZ(t *testing.T){
	for _,d:=range []time.Duration{20*time.Second,time.Minute,3*time.Minute,10*time.Minute}{
	for _,st:=range []story{{name:"cold",length:d,cold:true},{name:"plain",length:d},{name:"flap",length:d,cold:true,flapping:true}}{
	var rs []figures
	for seed:=uint64(0);seed<3;seed++{ rs=append(rs,fleet(t,kinds[1],standard,st,seed)) }
	f:=medians(rs); t.Log(d,st.name,f.wasted,f.overload,f.lost,f.recovered)
	}}
}
