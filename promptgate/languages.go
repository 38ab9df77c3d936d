package promptgate

// language is what the rules look for in one language. Words are whole ones, stems begin a word, parts stand anywhere (for scripts without blanks, and
// those whose articles and prepositions are written together with the noun).
type language struct {
	minor, minorStems, minorParts string
	minorPhrases                  []string
	maybe                         string // girls and boys: minors or not
	abroad                        string // minors here, something else in English: count beside this language's and other foreign explicit words
	bare, bareStems, bareParts    string // naked, sexual
	barePhrases                   []string
	bareHere                      string    // naked here, something else in English: counts beside minors in any language but English
	pairs                         [2]string // words of minors and of nakedness that mean something else alone: count side by side
	without, garments             string
	years, yearStems              string
	numbers                       string   // below 18
	grown                         []string // suffixes that make an age of a number: "zehnjährig"
	tens                          string
}

var languages = map[string]language{
	"English": {
		minor: `child childs children childrens childhood kid kids kiddo kiddie kiddies minor minors underage underaged toddler toddlers tot tots infant infants babies newborn newborns
			preteen preteens tween tweens tweenie teen teens teenage teenaged teeny teenybopper schoolgirl schoolgirls schoolboy schoolboys schoolchild schoolchildren
			schoolkid schoolkids schooler schoolers grader graders kindergartner kindergartners kindergartener kindergarteners kindergarten preschool preschooler preschoolers juvenile juveniles
			adolescent adolescents adolescence prepubescent prepubescents pubescent pubescents prepuberty youngster youngsters daughter daughters stepdaughter stepdaughters stepchild
			grandchild grandchildren granddaughter granddaughters grandson grandsons childlike childish toddlerhood babyhood girlhood boyhood tyke tykes
			bairn bairns wean bambino cherub cherubs putto putti orphan orphans chylde chyld lolita lolitas elementary middleschool highschool highschooler highschoolers bubba bub
			nymphet nymphets chlid chlids chidl cihld childern chilren childen chidren boyscout boyscouts girlscout girlscouts tweenage fourthgrader cp`,
		minorPhrases: []string{"little one", "little ones", "wee lad", "wee lass", "school age", "school aged", "schoolage", "not of age", "not yet of age", "high school", "secondary school",
			"grammar school", "grade school", "primary pupil", "nursery school", "day care", "daycare", "first form", "sixth form", "boy scout", "boy scouts", "girl scout", "girl scouts",
			"brownie scout", "young lady", "young ladies", "young lad", "young lads", "young lass", "young one", "young ones", "younger sister", "younger brother", "little sister",
			"little brother", "little sis", "little bro", "kid sister", "kid brother", "my son", "her son", "his son", "their son", "our son", "my sons", "her sons", "his sons", "legal age minus",
			"dozen years old", "single digit age", "not an adult", "non adult", "before puberty", "pre puberty", "pre pubescent", "ten something girl"},
		maybe: `lad lads lass lasses lassie tomboy girly girlie girlish boyish junior juniors freshman sophomore pigtails chibi`,
		bare: `nude nudes nudity nudist nudists nudism nudie nudies naked nakedness nakedly nekkid nekked nakey nakie buttnaked unclothed unclad unrobed unattired ungarbed undress undresses undressed
			undressing disrobe disrobes disrobed disrobing disrobement clothesless clothless garmentless pantless pantsless pantyless braless bottomless topless starkers naturist naturists naturism
			nudephoto nudephotos nudepic nudepics genital genitals genitalia genitalias buttocks pubic pubes porno porn pornographic sexualised sexualized sexualize sexualise eroticized erotically
			clit clitoris labia scrotum testicles foreskin nsfl smut smutty xrated incest incestuous molest molested molesting molestation orgy threesome striptease gangbang
			fap onlyfans camgirl nakd nakde nkaed naekd nakeed nued nuder`,
		bareStems: `nakedne pornhub sexuali`,
		barePhrases: []string{"au naturel", "au natural", "au naturelle", "al natural", "in the buff", "in the altogether", "in the raw", "in the nuddy", "in the nud", "in the nip", "bare naked", "stark naked",
			"buck naked", "butt naked", "bare bottom", "bare bottomed", "bare bum", "bare butt", "bare buttocks", "bare ass", "bare arse", "bare assed", "bare body", "bare bodied", "bare bodies",
			"bare chested girl", "bare chested boy", "bare torso girl", "bare breast", "bare nipples", "bare crotch", "bare all", "baring all", "bares all", "bared all", "bare skinned",
			"only skin", "nothing but skin", "nothing but a smile", "only a smile", "nothing on", "clad in nothing", "dressed in nothing", "wears nothing", "wore nothing", "wear nothing", "covered by nothing",
			"dressed in air", "as god made", "as nature intended", "as born", "as the day born", "adam costume", "eve costume", "birthday suits", "stripped naked", "stripped bare",
			"stripped down", "strip naked", "strips naked", "clothes off", "clothes removed", "clothes taken off", "clothing off", "clothing removed", "clothing optional", "clothes free", "clothing free",
			"out of clothes", "out of her clothes", "out of his clothes", "skinny dipping", "skinny dip", "skinny dipper", "skinny dippers", "fully exposed", "exposed body", "exposed skin all over",
			"exposed genitals", "exposing himself", "exposing herself", "private parts", "privates exposed", "x rated", "not dressed", "not clothed", "in the nude", "wearing only socks", "wearing only shoes", "wearing only boots", "wearing only a hat", "wears only socks", "only wearing socks", "only wearing shoes", "full frontal", "un clothed",
			"un dressed", "free of clothes", "devoid of clothes", "devoid of clothing", "zero clothes", "zero clothing", "never clothed"},
		pairs:   [2]string{`child children kid kids toddler infant girl girls boy boys baby teen teenager`, `bare stripped unclothe shirtless nuded`},
		without: `without no not never isn isnt aren arent doesn doesnt wasn wasnt w/o wo sans minus lacking lacks lack missing removed removing remove removes shedding sheds shed withouth whithout zero absent`,
		garments: `clothes clothing clothings clothe garment garments attire apparel attires outfit outfits garb dress dresses pants panties underpants underwear undies trousers shorts bra swimsuit
			swimwear swimsuits bikini shirt tshirt vestments cloth fabric diaper diapers nappy nappies raiment skirt pajamas pyjamas textiles`,
		years: `year years yearold yearolds yearsold yr yrs ys yo yold yos summers`,
		numbers: `one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
			ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii iiii viiii`,
		grown: []string{"yearold", "yearsold", "yo"},
		tens:  `twenty thirty forty fourty fifty sixty seventy eighty ninety hundred`,
	},
	"German": {
		minor: `kinder kindern kindes kinds kleinkind kleinkinder kindchen kindlein kindlich schulkind schulkinder mädchen mädels mädel schulmädchen jugendliche jugendlicher jugendlichen jugendlichem baby
			babys säugling säuglinge bub buben bübchen bube knabe knaben jungs teenie teenies göre gören enkelin enkel enkelkind tochter töchter grundschüler grundschülerin grundschule kita kindergarten minderjährig
			vorschulkind kleines`,
		minorStems: `minderjahrig grundschul erstklassler zweitklassler drittklassler viertklassler schulmadchen schulkind kleinkind kindergart heranwachsend pubertar halbwuchsig`,
		maybe:      `junge jungen jüngling schüler schülerin schülerinnen schülern`,
		abroad:     `kind`,
		bare: `nackt nackte nackten nackter nacktes nacktem nackig nackige nackiger nackiges nackigen nackend nackedei splitternackt splitterfasernackt splitternackte splitternacktes entblößt entblößte entblößtes entblößter
			entblößten entkleidet entkleidete entkleidetes entkleideter entkleideten unbekleidet unbekleidete unbekleidetes unbekleideter unbekleideten ausgezogen ausgezogene ausgezogenes ausgezogener
			hüllenlos hüllenloses kleidungslos fkk nacktfoto nacktbild nacktheit`,
		bareStems:   `splitterfasernackt nacktheit nacktfoto nacktbild splitternackt entblosst entkleidet unbekleidet hullenlos`,
		barePhrases: []string{"im adamskostüm", "im evakostüm", "oben ohne", "nichts an", "wie gott", "trägt nichts"},
		without:     `ohne kein keine keinen keinerlei`,
		garments:    `kleidung kleider klamotten kleidern bekleidung kleidungsstücke gewand gewänder anziehsachen unterwäsche hose hosen unterhose höschen hemd windel`,
		years:       `jahre jahren jahr jährig jährige jährigen jähriger jähriges lenze`, yearStems: `jahrig`,
		numbers: `eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn ein`,
		grown:   []string{"jahrig"},
		tens:    `zwanzig dreißig vierzig fünfzig hundert`,
	},
	"Dutch": {
		minor: `kinderen kindje kindjes kinders meisje meisjes jongetje jongetjes kleuter kleuters peuter peuters baby's tiener tieners minderjarig minderjarige minderjarigen puber pubers schoolmeisje schooljongen
			basisschool dochter dochters dochtertje zuigeling leerling`,
		minorStems: `minderjarig schoolmeisje basisschool kleuter peuter`,
		maybe:      `jongen jongens meid meiden scholier scholieren`,
		abroad:     `kind`,
		bare:       `naakt naakte naakten naaktheid naaktfoto poedelnaakt spiernaakt piemelnaakt bloot blote ontkleed ontklede ontblote ontbloot uitgekleed uitgeklede ongekleed`,
		bareStems:  `naakt poedelnaakt ontkleed`, barePhrases: []string{"in adamskostuum", "niets aan", "niks aan"},
		without: `zonder geen`, garments: `kleren kleding kleertjes kledij broek onderbroek ondergoed shirt luier jurk`,
		years: `jaar jarige jaren jarig`, yearStems: `jarig`,
		numbers: `een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien zestien zeventien`, grown: []string{"jarig"}, tens: `twintig dertig veertig vijftig`,
	},
	"Scandinavian": {
		minor: `barnet børn børnene barna barnen børnehave barnehage dreng drenge drengen drengene pige piger pigen pigerne spædbarn småbarn småbørn skolepige skoledreng skolebarn skolebørn teenagere mindreårig mindreårige
			mindreårigt jente jenta jenter jentene gutt gutten gutter guttene guttunge jentunge småjente skolejente skolegutt tenåring tenåringer flicka flickan flickor flickorna pojke pojken pojkar pojkarna
			småbarn spädbarn skolflicka skolpojke tonåring tonåringar minderårig minderåriga minderårigt bebis bebisar baby lillepige lilledreng barnunge datter døtre dotter döttrar elev elever ungdom
			stúlka stelpa stelpur strákur strákar drengur börn barnið unglingur`,
		minorStems: `mindrearig minderarig skolepig skoledreng skolflick skolpojk tenaring tonaring spedbarn smabarn smaborn`,
		abroad:     `barn barns unge unger unga ungar tøs tøser`,
		bare: `nøgen nøgne nøgent nøgenhed splitternøgen naken nakent nakne nakna naket nakenhet splitternaken splitternakna spritt afklædt afklædte avkledd avkledde avklädd avklädda avklätt oklädd påklädd påkledd
			utenklær blottet blottad bardlottad allsnakinn nakin nakinn nektar nektir nakið nøgenbillede nakenbild`,
		bareStems: `nogenhed nakenhe splitternog splitternak allsnak`, barePhrases: []string{"uden en trævl", "i adams kostyme", "i bara mässingen", "i bare skinnet"},
		without: `uden uten utan ingen án`, garments: `tøj klær kläder påklædning klæder bukser byxor klær undertøj undertøy underkläder bekledning föt fötum bleie ble blöja`,
		years: `år årige årig årigt ára`, yearStems: `arig`,
		numbers: `en et to två tre fire fyra fem seks sex syv sju otte åtte åtta ni nio ti tio elleve elva tolv tretten tretton fjorten fjorton femten femton seksten sexton sytten sjutton`, grown: []string{"arig"},
		tens: `tyve tjue tjugo tredive tretti trettio førti fyrtio`,
	},
	"Finnish and Estonian": {
		minor: `lapsi lapsia lapset lapsen lapsena lasta lasten tytöt tyttöjä poikia alaikäinen alaikäiset alaikäisiä vauva vauvat teini teinit koululainen nuori nuoret laps lapsed lapse tüdruk tüdrukud poiss poisid beebi alaealine
			pikkutyttö pikkupoika tytär`,
		minorStems: `alaikai koululais koulutyt koulupoi pikkutyt pikkupoi taapero esikoul teinity teinipo vauva lapsi alaeali`, maybe: `tyttö tytön tyttöä poika pojan poikaa pojat`,
		bare:      `alasti alaston alastomat alastoman alastonta alastomia alastomana ilkosillaan ilkialasti riisuttu nakuna nakusillaan alastus`,
		bareStems: `alastom alasto ilkosil ilkialas`, without: `ilman vailla`, garments: `vaatteita vaatteitta housuja alusvaatteita vaippaa riideid riieteta`,
		years: `vuotias vuotiaan vuotiaat vuotta aastane aastat`, yearStems: `vuoti aasta`,
		numbers: `yksi kaksi kolme neljä viisi kuusi seitsemän kahdeksan yhdeksän kymmenen yksitoista kaksitoista kolmetoista neljätoista viisitoista kuusitoista seitsemäntoista`, grown: []string{"vuoti"},
	},
	"French": {
		minor: `enfant enfants enfantin enfance fillette fillettes garçonnet garçonnets gamin gamine gamins gamines mineur mineure mineurs mineures écolier écolière écoliers écolières collégien collégienne collégiens collégiennes
			lycéen lycéenne lycéens lycéennes bébé bébés nourrisson nourrissons ado ados adolescent adolescente adolescents adolescentes bambin bambins gosse gosses môme mômes puberté prépubère maternelle préado préados`,
		minorPhrases: []string{"petite fille", "petites filles", "petit garçon", "petits garçons", "jeune fille", "jeunes filles", "jeune garçon", "moins de 18"},
		maybe:        `fille filles garçon garçons nana`,
		bare:         `dénudé dénudée dénudés dénudées déshabillé déshabillée déshabillés déshabillées dévêtu dévêtue dévêtus dévêtues nudité sexe sexuel sexuelle sexuels sexuelles érotique érotiques nue nues`,
		bareStems:    `denude deshabill devetu`, barePhrases: []string{"à poil", "en tenue d'adam", "en tenue d'ève", "tout nu", "toute nue", "tous nus", "toutes nues", "seins nus", "fesses nues", "complètement nu"},
		pairs:   [2]string{`enfant enfants garçon garçons fillette bébé bébés gamin gamins ado ados mineur mineurs écolier adolescent adolescents`, `nu nus nue nues`},
		without: `sans aucun ni`, garments: `vêtements vêtement habits habit habillement culotte pantalon sous-vêtements couche robe fringues`,
		years: `ans an`, numbers: `un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize`, tens: `vingt trente quarante cinquante soixante`,
	},
	"Spanish": {
		minor: `niño niña niños niñas niñito niñita niñitos niñitas nene nena nenes nenas menor menores adolescente adolescentes bebé bebés colegiala colegialas colegial colegiales chiquillo chiquilla chiquillos chiquillas chiquito chiquita crío cría
			críos crías infantil infante hija hijita escolar escolares escolita alumno alumna alumnos alumnas preadolescente quinceañera impúber párvulo párvulos nietecita`,
		minorStems: `preadolescent chiquill`, minorPhrases: []string{"escuela primaria", "menor de edad", "menores de edad", "educación infantil"},
		maybe:     `chica chicas chico chicos muchacha muchachas muchacho muchachos jovencita jovencito chaval chavala`,
		bare:      `desnudo desnuda desnudos desnudas desnudez desnudito desnudita desvestido desvestida desvestidos desvestidas encuerado encuerada encuerados encueradas sexo sexual sexuales erótico erótica eróticos eróticas pornografía`,
		bareStems: `desnud desvesti encuerad`, barePhrases: []string{"en cueros", "en pelotas", "en bolas", "como dios", "traje de adán", "al desnudo"},
		without: `sin ninguna ningún`, garments: `ropa ropas vestimenta vestido vestidos prendas prenda calzones pantalones bragas camisa pañal ropita`,
		years: `años año añitos añito`, numbers: `uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete`, tens: `veinte treinta cuarenta cincuenta`,
	},
	"Portuguese": {
		minor: `criança crianças criancinha criancinhas menino menina meninos meninas menininha menininho garotinha garotinho garotinhas garotinhos bebê bebês adolescente menoridade filha filhinha colegial colegiais aluno aluna infantil miúdo miúda
			miúdos miúdas pirralho guri guria`, maybe: `garota garotas garoto garotos rapariga moleque`, minorStems: `criancinh menininh garotinh`,
		bare:      `nua nuas pelado pelada pelados peladas peladinha peladinho peladinhas despido despida despidos despidas nudez pornô nuzinha desnudo`,
		bareStems: `peladinh`, pairs: [2]string{`criança crianças menino meninos garoto garotos bebê adolescente`, `nu nus`},
		without: `sem nenhuma`, garments: `roupa roupas vestes vestido vestuário calcinha calças cueca fralda camisa`,
		years: `anos ano aninhos`, numbers: `um dois duas três quatro cinco seis sete oito nove dez onze doze treze catorze quatorze quinze dezesseis dezasseis dezessete dezassete`, tens: `vinte trinta quarenta`,
	},
	"Italian": {
		minor: `bambino bambina bambini bambine bimbo bimba bimbi bimbe ragazzino ragazzina ragazzini ragazzine minorenne minorenni fanciullo fanciulla fanciulli neonato neonata neonati neonate adolescente adolescenti scolaro scolara
			scolaretta figlioletta bebè infante alunno alunna`, minorStems: `ragazzin minorenn fanciull bambin`, maybe: `ragazza ragazze ragazzo ragazzi`,
		bare:      `nudo nuda nudi nudità ignudo ignuda ignudi spogliato spogliata spogliati spogliate svestito svestita svestiti svestite denudato denudata sesso erotico erotica sessuale sessuali`,
		bareStems: `spogliat svestit denudat`, pairs: [2]string{`bambine bimbe ragazzine ragazze fanciulle`, `nude`},
		without: `senza`, garments: `vestiti vestito abiti indumenti abbigliamento mutande mutandine pantaloni pannolino veste vesti`,
		years: `anni anno`, numbers: `due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici diciassette`, tens: `venti trenta quaranta`,
	},
	"Romanian": {
		minor: `copil copii copiii copilul copila copilă copilului copilași copilaș fetiță fetița fetițe fetițele băiețel băieței băiețelul băiețelușul minoră minori minoră bebeluș bebeluși adolescentă adolescenți elevă`, minorStems: `bebelus fetit baietel copilas`,
		maybe: `fată fete fata băiat băieți băiatul`, bare: `dezbrăcat dezbrăcată dezbrăcați dezbrăcate nud nudă nuzi goală despuiat despuiată`, bareStems: `dezbracat despuiat`,
		pairs: [2]string{`copil copii copilul copiii băiat băieți băiețel fete fetițe minori`, `gol goi goale goală golaș`}, without: `fără`, garments: `haine hainele îmbrăcăminte pantaloni chiloți scutec`,
		years: `ani`, numbers: `doi trei patru cinci șase șapte opt nouă zece unsprezece doisprezece treisprezece paisprezece cincisprezece șaisprezece șaptesprezece`, tens: `douăzeci treizeci`,
	},
	"Polish": {
		minor: `dziecko dziecka dziecku dzieckiem dzieci dzieciom dziećmi dzieciach dzieciak dzieciaki dzieciątko dziewczynka dziewczynki dziewczynkę dziewczynką dziewczynek dziewczynce chłopiec chłopca chłopcy chłopców chłopczyk chłopczyka
			nieletnia nieletni nieletnią nieletnie niepełnoletnia niepełnoletni niemowlę niemowlęta nastolatka nastolatki nastolatek nastolatkę uczennica uczennice uczennicę uczennicy przedszkolak przedszkolaki małolata bobas`,
		minorStems: `dziecie dzieck dzieciak dziewczynk nieletni niepelnolet niemowl nastolat uczennic dwulet trzylet czterolet pięciol sześciol siedmiol ośmiol dziewięciol dziesięciol jedenastol dwunastol trzynastol czternastol piętnastol szesnastol siedemnastol przedszkol podstawowk chlopczyk`, maybe: `dziewczyna dziewczyny dziewczynę dziewczę uczeń uczniowie chłopak chłopaki`,
		bare: `nagi nagie nagiego nagiej nagich nagim nago nagiemu goły gołe gołego gołej gołych goła gołą golutki golutka golutkie golas golasa golaska rozebrany rozebrana rozebrane rozebraną rozebranego obnażony obnażona obnażone
			roznegliżowana roznegliżowany nagość nagości nagutki nagutka nagusieńki`, bareStems: `rozebran obnazon rozneglizow nagosc golutk`,
		bareHere: `naga`, without: `bez`, garments: `ubrania ubrań ubranek ubranka odzieży ciuchów bielizny majtek spodni pieluchy`,
		years: `lat lata letni letnia letnie letniego letniej latka roku rok latek`, yearStems: `letni`,
		numbers: `dwa trzy cztery pięć sześć siedem osiem dziewięć dziesięć jedenaście dwanaście trzynaście czternaście piętnaście szesnaście siedemnaście
			dwuletni`, grown: []string{"oletni", "letni"}, tens: `dwadzieścia trzydzieści`,
	},
	"Czech and Slovak": {
		minor: `dítě dítěte děti dětí dětem dětmi dětech děťátko děcko děcka dieťa dieťaťa detí deťom deťmi holčička holčičky holčičku chlapeček chlapečka chlapečci dievčatko dievčatka dievčatá chlapček nezletilá nezletilý nezletilé neplnoletá neplnoletý
			miminko kojenec školačka školák školáci školáčka žákyně batole batolata puberťák puberťačka maloletý maloletá`, minorStems: `nezletil neplnolet holcick chlapeck dievcatk batolat`,
		maybe: `holka holky holku chlapec chlapci chlapce kluk kluci kluka dívka dívky dívku dievča kluka`,
		bare:  `nahý nahá nahé nahého nahou nahí nahých nahota nahoty nahatý nahatá nahaté obnažený obnažená obnažené svlečený svlečená svlečené vyzlečený vyzlečená vyzlečené vyslečená vyslečený`, bareStems: `nahat obnazen svlecen vyzlecen`,
		without: `bez`, garments: `oblečení šatů šat oděvu oblečenia šiat kalhotek plenky prádla`, years: `let roků roky rokov rok letý letá leté letého ročný ročná ročné`, yearStems: `rocn`,
		numbers: `dvě tři čtyři pět šest sedm osm devět deset jedenáct dvanáct třináct čtrnáct patnáct šestnáct sedmnáct desať dvanásť`, grown: []string{"ilet", "lety", "leta", "lete", "rocn"}, tens: `dvacet třicet dvadsať`,
	},
	"Hungarian": {
		minor:      `gyerek gyerekek gyereket gyermek gyermekek gyermeket gyermekeket kisgyerek kislány kislányok kislányt kisfiú kisfiúk kisfiút kiskorú kiskorúak kisbaba csecsemő tinédzser tini kamasz iskoláslány iskolás óvodás diáklány`,
		minorStems: `gyerek gyermek kislany kisfiu kiskoru csecsem tinedzs iskolas ovodas kamasz`, maybe: `lány lányok lányt fiú fiúk fiút`,
		bare: `meztelen meztelenek meztelenül meztelenség pucér pucéran pucérok ruhátlan ruhátlanul levetkőzve levetkőzött anyaszült`, bareStems: `meztelen pucer ruhatlan levetkoz anyaszult`, barePhrases: []string{"ruha nélkül", "ruhák nélkül", "nincs rajta ruha"},
		years: `éves évesek éve év`, yearStems: `eves`, numbers: `egy két kettő három négy öt hat hét nyolc kilenc tíz tizenegy tizenkét tizenkettő tizenhárom tizennégy tizenöt tizenhat tizenhét`, grown: []string{"eves"}, tens: `húsz harminc`,
	},
	"South Slavic": {
		minor: `dijete djeteta djeca djece djecu deca dece decu otrok otroci otroka djevojčica djevojčice djevojčicu devojčica devojčice devojčicu dječak dječaci dječaka dečak dečaci dečaka deček dečki deklica deklice maloljetna maloljetnik maloletna maloletnik
			mladoletna mladoletnik beba bebe tinejdžer tinejdžerka učenica дијете деца девојчица девојчице дечак дечаци малолетник дете детето децата момиче момичета момиченце момченце момче момчета бебе непълнолетна непълнолетен
			ученичка тийнейджър тинейджър`, minorStems: `djevojcic devojcic malolet maloljet mladolet непълнол девойк момичен момчен`,
		maybe:    `djevojka devojka dekle fant девојка момиче`,
		bare:     `gola golo gole goli golog golih golišav nagog nagih razodjeven razodjevena svučen svučena neobučen гол гола голо голи голе голите голото голата нагиот съблечен съблечена обнажен`,
		bareHere: `naga nag nage`, pairs: [2]string{`dječak dečak dečko deček otrok`, `gol`}, bareStems: `razodjev razodev голота съблеч обнаж`,
		without: `bez brez без`, garments: `odjeće odeće obleke oblačil одеће одећа дрехи дрехите облекла odječe`,
		years: `godina godine godišnja godišnji godišnje let година години годишна годишен годишно години`, yearStems: `godisnj godisnj годишн`, numbers: `dvije dve pet šest sedam osam devet deset jedanaest dvanaest trinaest четири десет дванаест`,
	},
	"Russian": {
		minor: `ребенок ребенка ребенку ребенком ребенке ребята ребятишки ребятенок дети детей детям детьми детях дитя деточка девочка девочки девочку девочкой девочек девочке девчонка девчонки девчушка мальчик мальчика мальчики мальчиков мальчиком
			школьница школьницы школьницу школьницей школьник школьника школьники малолетка малолетки малолетний малолетняя малышка малышки малыш малыши малыша младенец младенца младенцы подросток подростка подростки пацан пацаны пацана дочка дочь
			дочери дочку сын сына сынок тинейджер юная юный юные первоклассница первоклассник детский детская детское детские детсад внучка`,
		minorStems: `ребенк ребенок девочк девчонк девчуш мальчик мальчиш школьни малолет младен подрост несовершеннолет дошкол первоклас второклас третьеклас пятиклас шестиклас семиклас восьмиклас девятиклас старшеклас
			тинейдж деточк малышк воспитанни`,
		maybe: `девушка девушки девушку парень юноша лоли ученица ученик`,
		bare: `голый голая голое голые голого голой голую голым голых голыми голенький голенькая голенькое голенькие голышом голяком нагой нагая нагое нагие нагого нагую нагим нагих нагишом нагота наготы обнаженный обнаженная обнаженное обнаженные раздетый
			раздетая раздетое раздетые раздетого раздетую нюд ню ньюдс порнография порно секс сексуальный сексуальная сексуальные эротика эротический эротическая эротическое голышка неодетый неодетая оголенный оголенная`,
		bareStems: `обнаж раздет оголен порногр эротич сексуальн голеньк голышо нагиш`, barePhrases: []string{"в чем мать родила", "в костюме адама", "в костюме евы", "ничего не надето", "топлес"},
		without: `без`, garments: `одежды одежек белья трусов трусиков платья штанов одежки вещей подгузника`,
		years: `лет год года годик годика годиков летний летняя летнее летние летнего летнюю летней`, yearStems: `летн`,
		numbers: `один два две три четыре пять шесть семь восемь девять десять одиннадцать двенадцать тринадцать четырнадцать пятнадцать шестнадцать семнадцать двух трех четырех пяти шести семи восьми девяти десяти одиннадцати двенадцати
			тринадцати четырнадцати пятнадцати шестнадцати семнадцати`, grown: []string{"летн"}, tens: `двадцать тридцать сорок`,
	},
	"Ukrainian": {
		minor:      `дитина дитини дитину дитиною діти дітей дітьми дівчинка дівчинки дівчинку дівча хлопчик хлопчика хлопчики школярка школярки школяр неповнолітня неповнолітній неповнолітні підліток підлітка підлітки немовля малюк`,
		minorStems: `дитин дитяч дівчинк дівчат хлопчик школяр неповноліт підліт немовля`, maybe: `дівчина дівчини хлопець хлопці`,
		bare: `голий гола голе голі голого голої голу оголений оголена оголене оголені нагий роздягнений роздягнена роздягнуті роздягнута порно`, bareStems: `оголен роздягн оголе`, without: `без`, garments: `одягу одежі білизни`,
		years: `років роки рік річна річний`, yearStems: `річн`, numbers: `два три чотири п'ять шість сім вісім дев'ять десять одинадцять дванадцять тринадцять чотирнадцять п'ятнадцять шістнадцять сімнадцять`, grown: []string{"річн"},
	},
	"Greek": {
		minor: `παιδί παιδιά παιδιού παιδιών παιδάκι παιδάκια παιδικός παιδική παιδικό κορίτσι κορίτσια κοριτσιού κοριτσάκι κοριτσάκια αγόρι αγόρια αγοριού αγοράκι αγοράκια μωρό μωρά μωρού έφηβη έφηβος έφηβοι έφηβες ανήλικη ανήλικος
			ανήλικο ανήλικοι ανήλικα νήπιο νήπια μαθήτρια μαθητής μαθήτριες`, minorStems: `παιδακ κοριτσ αγορακ εφηβ ανηλικ νηπι`,
		bare: `γυμνός γυμνή γυμνό γυμνά γυμνοί γυμνές γυμνού γυμνής γυμνών γυμνούς ολόγυμνος ολόγυμνη ολόγυμνο ολόγυμνα ξεγύμνωτη ξεγύμνωτο γδυτός γδυτή γδυτό τσίτσιδος τσίτσιδη τσίτσιδο γύμνια σεξ πορνό`, bareStems: `ολογυμν ξεγυμν τσιτσιδ`,
		without: `χωρίς δίχως`, garments: `ρούχα ρούχο ενδύματα εσώρουχα`, years: `χρονών ετών χρόνων χρονο χρονη χρονος χρονια`, yearStems: `χρον`,
		numbers: `δύο τρία τριών τέσσερα τεσσάρων πέντε έξι επτά εφτά οκτώ οχτώ εννέα εννιά δέκα έντεκα δώδεκα δεκατρία δεκατριών δεκατέσσερα δεκαπέντε δεκαέξι δεκαεπτά δεκαεφτά`, grown: []string{"χρον"}, tens: `είκοσι τριάντα`,
	},
	"Turkish and Azeri": {
		minor: `çocuk çocuklar çocuğu çocuğun kızçocuk oğlançocuk bebek bebekler ergen ergenler reşit küçük uşaq uşaqlar kızcağız yeniyetme ilkokul ortaokul liseli oğlan oğlanlar kızım`, minorStems: `cocug cocuk ilkokul ortaokul ufaklik usaq`,
		minorPhrases: []string{"küçük kız", "küçük oğlan", "kız çocuğu", "erkek çocuğu", "reşit olmayan", "kız çocuk", "erkek çocuk"}, maybe: `kız kızlar kızı öğrenci öğrenciler`,
		bare: `çıplak çıplaklar çırılçıplak çıplaklık çırçıplak soyunmuş soyunuk elbisesiz kıyafetsiz giysisiz üryan çılpaq seks erotik porno`, bareStems: `ciplak cirilcip kiyafetsiz elbisesiz giysisiz soyunm`,
		barePhrases: []string{"kıyafet olmadan", "elbise olmadan", "giysi olmadan"}, years: `yaş yaşında yaşındaki yaşlarında`, yearStems: `yasin`,
		numbers: `bir iki üç dört beş altı yedi sekiz dokuz on onbir oniki onüç ondört onbeş onaltı onyedi`, tens: `yirmi otuz kırk`,
	},
	"Arabic": {
		minorParts: `طفل أطفال الاطفال صبي رضيع مراهق قاصر قاصرة تلميذ`, minor: `ولد أولاد بنت بنات صغيرة صبية قصر`, maybe: `فتاة فتيات فتى الفتاة`,
		bareParts: `عاري عراة عريان عارية تعري إباحي اباحي جنسي`, bare: `عار عري العري عارٍ`, without: `بدون بلا دون`, garments: `ملابس ثياب الملابس لباس`, years: `سنة سنوات عام أعوام عاما سنين`,
		numbers: `خمس ست سبع ثمان ثماني تسع عشر اثنا ثلاث أربع إحدى خمسة ستة سبعة ثمانية تسعة عشرة`,
	},
	"Persian and Urdu": {
		minorParts: `کودک نوجوان نابالغ خردسال شیرخوار بچگ`, minor: `بچه بچهها پسر دختر پسربچه دختربچه دخترک پسرک بچہ بچی بچے بچوں بچیاں لڑکی لڑکا لڑکے لڑکیاں طفل`, bareParts: `برهنه عریان لخت عریاں برہنہ برهنگی`,
		bare: `ننگا ننگی ننگے لختی سکس پورن`, without: `بدون بی بغیر`, garments: `لباس لباسی کپڑوں کپڑے`, years: `ساله سال سالہ سالگی`,
		numbers: `دو سه چهار پنج شش هفت هشت نه ده یازده دوازده سیزده چهارده پانزده شانزده هفده تین چار پانچ چھ سات آٹھ نو دس گیارہ بارہ`,
	},
	"Hebrew": {
		minorParts: `ילד תינוק נערה קטין קטינה פעוט תלמידה`, minor: `נער נערים הנער בן־נוער קטנה`, maybe: `בחורה בת`, bareParts: `עירום ערום עירומ ערומ מעורטל`, bare: `עריה סקס פורנו חשוף חשופה`,
		without: `ללא בלי`, garments: `בגדים לבוש בגד`, years: `שנים שנה`, numbers: `שלוש ארבע חמש שש שבע שמונה תשע עשר אחת שתים`,
	},
	"Indic": {
		minor: `बच्चा बच्ची बच्चे बच्चों बच्चियों बच्चियाँ बच्चियां लड़का लड़की लड़के लड़कियाँ लड़कियां लड़कों नाबालिग बालक बालिका बालिकाएं किशोर किशोरी शिशु छात्रा मुलगा मुलगी मूल मुले बाळ केटा केटी
			শিশু শিশুর বাচ্চা বাচ্চার মেয়ে ছেলে বালক বালিকা কিশোরী কিশোর নাবালিকা নাবালক ਬੱਚਾ ਬੱਚੀ ਬੱਚੇ બાળક છોકરી છોકરો குழந்தை குழந்தைகள் சிறுவன் சிறுமி பையன் பெண்குழந்தை పిల్ల పిల్లలు పిల్లవాడు బాలిక బాలుడు శిశువు ಮಗು ಮಕ್ಕಳು ಹುಡುಗಿ ಹುಡುಗ കുട്ടി കുട്ടികൾ ദරුවා ළමයා
			bachcha bachchi bacche bachche bacha bachi ladki ladka nabalig kuzhandai`,
		bare: `नग्न नग्नता नंगा नंगी नंगे निर्वस्त्र विवस्त्र नागडा नागडी नांगो अश्लील नंगापन যৌন নগ্ন উলঙ্গ ল্যাংটা ন্যাংটা ਨੰਗਾ ਨੰਗੀ ਨੰਗੇ નગ્ન નાગુ નગ્નતા நிர்வாண நிர்வாணமாக நிர்வாணம் அம்மண நிர்வாணமான నగ్న నగ్నంగా నగ్నమైన దిగంబర ಬೆತ್ತಲೆ ನಗ್ನ നഗ്ന നഗ്നയായ നഗ്നനായ නිරුවත් නිරුවත
			nanga nangi nange nangaa nirvastra langta nanga`,
		barePhrases: []string{"बिना कपड़ों", "बिना कपड़े", "बिना वस्त्र", "कपड़ों के बिना", "कपड़े के बिना", "কাপড় ছাড়া", "bina kapdo", "bina kapde", "bina kapdon"}, years: `साल वर्ष वर्षीय साला বছর বছরের ਸਾਲ વર્ષ வயது ஆண்டு saal`,
		numbers: `एक दो तीन चार पाँच पांच छह छः सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह দশ বারো আট নয় সাত`,
	},
	"Thai, Khmer, Lao and Burmese": {
		minorParts: `เด็ก ทารก วัยรุ่น นักเรียน ผู้เยาว์ เยาวชน កុមារ ក្មេង ເດັກ ကလေး`, bareParts: `เปลือย แก้ผ้า ล่อนจ้อน อนาจาร ลามก ไม่ใส่เสื้อผ้า ไม่สวมเสื้อผ้า ไร้เสื้อผ้า អាក្រាត ເປືອຍ အဝတ်မပါ ကိုယ်လုံးတီး`,
		years: `ปี ขวบ`,
	},
	"Vietnamese": {
		minorPhrases: []string{"trẻ em", "em bé", "bé gái", "bé trai", "trẻ con", "trẻ nhỏ", "cậu bé", "cô bé", "đứa trẻ", "đứa bé", "con nít", "thiếu niên", "thiếu nữ", "học sinh", "vị thành niên", "trẻ vị thành niên", "nữ sinh", "trẻ sơ sinh",
			"trẻ thơ", "nhi đồng", "tuổi teen", "mười tuổi"},
		maybe: ``, barePhrases: []string{"khỏa thân", "khoả thân", "trần truồng", "cởi truồng", "lõa thể", "loã thể", "ở truồng", "không mặc quần áo", "không mặc gì", "không quần áo", "không mảnh vải", "khiêu dâm", "cởi đồ", "cởi quần áo", "tình dục"},
		years: `tuổi`, numbers: `một hai ba bốn năm sáu bảy tám chín mười`,
	},
	"Malay and Indonesian": {
		minor: `anak anak2 budak kanak bocah bayi balita remaja abg gadis pelajar siswi siswa murid putri bocil`, minorStems: `kanakkanak anakanak`, minorPhrases: []string{"di bawah umur", "anak kecil", "bawah umur", "anak anak", "kanak kanak"},
		maybe: `perempuan laki cewek cowok`, bare: `telanjang bugil bogel ditelanjangi telanjangi ketelanjangan cabul porno`, bareStems: `telanjang bugil bertelanjang`, barePhrases: []string{"tak berpakaian", "tidak berpakaian", "tak berbusana", "tanpa sehelai benang"},
		without: `tanpa tiada`, garments: `busana pakaian baju celana seluar kain`, years: `tahun thn`, numbers: `satu dua tiga empat lima enam tujuh delapan lapan sembilan sepuluh sebelas`,
	},
	"Tagalog": {
		minor: `batang kabataan sanggol binatilyo dalagita paslit musmos`, bare: `hubad hubo hubad na nakahubad hubot`, bareStems: `nakahubad hubad`, pairs: [2]string{`bata batang mga`, `hubad hubo nakahubad`}, barePhrases: []string{"hubo't hubad", "walang damit", "walang saplot"}, abroad: `bata`,
		years: `taong`, numbers: `lima anim pito walo siyam sampu labing`,
	},
	"Swahili": {minor: `mtoto watoto kijana msichana mvulana`, pairs: [2]string{`mtoto watoto msichana mvulana`, `uchi`}, barePhrases: []string{"bila nguo", "yuko uchi", "wako uchi", "aliye uchi", "walio uchi"}, years: `miaka`},
	"Chinese": {
		minorParts: `女孩 男孩 孩子 孩童 小孩 小女 小男 小朋友 小學 小学 初中 婴儿 嬰兒 宝宝 寶寶 幼儿 幼兒 幼女 幼男 幼童 幼齿 幼齒 儿童 兒童 女童 男童 未成年 少女 少男 少年 少兒 少儿 未满十八 未滿十八 青少年 萝莉 蘿莉 蘿利 正太 国中生 國中生 高中生 女中学生 学童 學童 娃娃 女娃 男娃 豆蔻`,
		bareParts:  `裸 光着身 光著身 光屁股 光腚 没穿衣 沒穿衣 不穿衣 未穿衣 没有穿衣 沒有穿衣 没有衣服 沒有衣服 没衣服 无衣 無衣 一丝不挂 一絲不掛 脱光 脫光 脱衣 脫衣 赤身 赤条条 色情 淫 性感裸 性行为 性行為 性交 性爱 性愛 做爱 做愛 情色 黄色图片 露点 露點 露阴 露乳`,
		maybe:      `学生 女生 男生 學生 姑娘`,
	},
	"Japanese": {
		minorParts: `女の子 男の子 女のこ 男のこ 赤ちゃん 赤ん坊 中高生 高校生 中学生 小学生 女子小学生 女子中学生 男子小学生 女子高生 子供 子ども こども コドモ 小学校 中学校 幼稚園 保育園 園児 幼児 幼女 児童 女児 男児 未成年 ちびっ子 チビッ子 キッズ 乳児 ロリ ショタ ろり ティーン 十代 10代 少女 少年 娘 年少`,
		bareParts:  `裸 はだか ハダカ すっぽんぽん スッポンポン まっぱ ヌード 脱衣 脱いだ 脱いで 服を着ていない 服を着てない 服なし 服無し 服を脱 着衣なし 無修正 エッチ えっち エロ えろ おっぱい 性器 性的 乳首 一糸まとわ 一糸纏わ 丸出し アダルト`,
	},
	"Korean": {
		minor:       `아이 아이가 아이를 아이의 아이들 아이들이 아이들을 아이는 아이와 아이도 애들 꼬마 꼬마가 꼬마의 아기 아기가 아기의 아기들 애기 로리 쇼타 십대 10대`,
		minorParts:  `어린이 어린아이 여자아이 남자아이 여아 남아 소녀 소년 초등학생 중학생 고등학생 여고생 여중생 유치원 십이세 십삼세 십사세 십오세 십육세 십칠세 십일세 유아 미성년 청소년 아동 초딩 중딩 어린애 꼬맹이 갓난`,
		maybe:       `학생 여학생 남학생`,
		bareParts:   `벌거벗 발가벗 벌거숭이 발가숭이 헐벗 알몸 나체 나신 누드 전라 맨몸 옷을벗 옷벗 옷을안 옷안입 옷없 섹스 성적 야한 음란 포르노 에로`,
		barePhrases: []string{"옷을 벗은", "옷 벗은", "옷을 벗고", "옷을 안 입은", "옷 안 입은", "옷을 입지 않은", "옷이 없는", "옷 없는", "옷 없이", "옷을 다 벗은"},
		years:       `살 세`, yearStems: `살짜리 세의 살의 살인 살먹`,
		numbers: `한 두 세 네 다섯 여섯 일곱 여덟 아홉 열 열한 열두 열세 열네 열다섯 열여섯 열일곱 십 십일 십이 십삼 십사 십오 십육 십칠 칠 팔 구 육 오`, grown: []string{"살"},
		tens: `스물 서른 마흔 쉰 이십 삼십`,
	},
}

// backwards are words of the rules that some write from their end.
const (
	minorBackwards = `dlihc nerdlihc sdik relddot srelddot tnafni ronim sronim egarednu reganeet neeterp lrigloohcs yobloohcs ilol atohs ybab nerobwen lrig slrig nohcatohs`
	bareBackwards  = `edun sedun ytidun dekan nrop sselpot dehtolcnu dessserdnu desserdnu wfsn citore lauxes yxes ssensedun`
)

// parted are words that are looked for in pieces too: "chi ld", "n.ude". Others would be found between common words, as "pen is" and "men in a".
const parted = `child children childs toddler toddlers teen teens teenager teenagers teenage schoolgirl schoolgirls schoolboy schoolboys preteen underage infant minor loli lolita shota newborn
	girl girls kids baby babies naked nude nudes nudity topless undressed unclothed erotic porn nsfw hentai sexual genitals vagina nipples underaged preschooler kindergarten`

// joints stand between words that are written as one.
const joints = `the and with for photo photos pic pics picture pictures image images photograph drawing art little small cute young beautiful pretty body model models very real anime cartoon
	fully completely totally asian hot video years year old school`
